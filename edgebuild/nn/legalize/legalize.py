"""Rewrites a module for a format, operator by operator, until nothing of it is known to be refused, slow or wrong.

The module is exported, operators are replaced in its graph, and the graph becomes a module again, whose layers have the
names that they had. What is not known to do harm is left alone: a module without it is given back itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.nn import exporting
from edgebuild.nn.legalize import branches, proof
from edgebuild.spec.errors import exhausted
from edgebuild.spec.registry import REWRITES
from edgebuild.spec.rewrite import Rewrite

if TYPE_CHECKING:
    from torch import Tensor, fx, nn
    from torch.export import ExportedProgram

    from edgebuild.nn.exporting import Exported

    Example = tuple[Tensor, ...]

_SETTLED = (
    "settled as the model is now, and no part of the file: what its code decides by numbers that it keeps in buffers, "
    "picks by masks that no input reaches, writes to its own weights, and checks before it raises"
)
_ROUNDS = 4  # what one rewrite is made of may be what another rewrites


@dataclass(frozen=True, slots=True)
class Legal:
    """A module that a format takes, and a line for each rewrite: what was done, or why it was not."""

    module: nn.Module
    lines: tuple[str, ...] = ()


class _Site(NamedTuple):
    rewrite: str
    node: fx.Node
    function: Callable[..., Any]


def legal(module: nn.Module, example: Example, format_name: str) -> Legal:
    """The module in operators that the format takes, which answers `example` and noise as it did.

    It is given back as it is where nothing is to be rewritten, and where it cannot be exported: a converter says why.
    """
    with _as_ever():
        return _legal(module, example, format_name)


@contextmanager
def _as_ever() -> Iterator[None]:
    """Nothing is trained here: operators without a deterministic form (max-unpooling) may be traced and compared."""
    import torch

    held, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(held, warn_only=warned)


def _legal(module: nn.Module, example: Example, format_name: str) -> Legal:
    known = {name: kind for name, kind in REWRITES.usable().items() if format_name in kind.formats}
    refused: dict[str, float] = {}
    lines: dict[str, None] = {}
    now, program = module, _exported(module, example)
    if program is not None and program.settled:
        now, program = _settled(module, program, example), None
        lines |= {_SETTLED: None} if now is not module else {}
    now, program, line = _merged(now, module, program or _exported(now, example), example)
    lines |= dict.fromkeys(line)
    for _ in range(_ROUNDS if known else 0):
        able = {name: kind for name, kind in known.items() if name not in refused}
        rewritten = _rewritten(now, example, able, program or _exported(now, example))
        program = None  # it has been written into
        if rewritten is None:
            break
        wrong = proof.wrong(module, example, rewritten)
        if wrong:
            refused |= wrong
            continue
        now = rewritten.module
        lines |= dict.fromkeys(_told(name, rewritten, known, format_name) for name in rewritten.layers)
    return Legal(now, (*lines, *(_left(name, far) for name, far in refused.items())))


def _settled(module: nn.Module, exported: Exported, example: Example) -> nn.Module:
    """A graph of what the module's code is settled to, as a module; itself where that answers otherwise."""
    import torch

    settled = _renamed(torch.export.unflatten(exported.program)).eval()
    return settled if proof.distance(module, settled, example) <= proof.LARGEST else module


def _merged(
    now: nn.Module, original: nn.Module, exported: Exported | None, example: Example
) -> tuple[nn.Module, Exported | None, list[str]]:
    """The module with parallel convolutions as one, else what it was exported as, and a line that says so."""
    import torch

    layers = branches.merge(exported.program) if exported is not None else ()
    if exported is None or not layers:
        return now, exported, []
    merged = _renamed(torch.export.unflatten(exported.program)).eval()
    far = proof.distance(original, merged, example)
    if far > proof.LARGEST:
        return now, None, [_left("branches", far)]
    return merged, None, [f"branches that are added became one convolution, in {_named(layers)}"]


def _rewritten(
    module: nn.Module, example: Example, known: Mapping[str, type[Rewrite]], exported: Exported | None
) -> proof.Rewritten | None:
    """The module with all that these rewrite; None where there is nothing of it."""
    sites = _sites(exported.program, known) if exported is not None else []
    if exported is None or not sites:
        return None
    layers: dict[str, list[str]] = {}
    for site in sites:
        layers.setdefault(site.rewrite, []).append(_layer(site.node))

    def only(names: Collection[str]) -> nn.Module:
        fresh = _exported(module, example)
        assert fresh is not None
        return _replaced(fresh.program, {name: kind for name, kind in known.items() if name in names})

    return proof.Rewritten(_replaced(exported.program, known), layers, only)


def _exported(module: nn.Module, example: Example) -> Exported | None:
    try:
        return exporting.attempt(module, example)
    except Exception as error:  # models that cannot be exported fail in many ways
        if exhausted(error):
            raise
        return None


def _sites(program: ExportedProgram, known: Mapping[str, type[Rewrite]]) -> list[_Site]:
    """Every use of an operator that a rewrite has something for, the first by name."""
    sites: list[_Site] = []
    for node in program.graph.nodes:
        name = str(node.target).removeprefix("aten.")
        able = ((each, _instead(kind, node)) for each, kind in known.items() if name in kind.operators)
        sites += [_Site(each, node, function) for each, function in able if function is not None][:1]
    return sites


def _instead(kind: type[Rewrite], node: fx.Node) -> Callable[..., Any] | None:
    """What a rewrite has for a use; nothing for sizes that only the file will know when it runs."""
    try:
        return kind.instead(node)
    except Exception as error:  # PyTorch's own, of several classes
        if exhausted(error) or not exporting.by_values(error):
            raise
        return None


def _replaced(program: ExportedProgram, known: Mapping[str, type[Rewrite]]) -> nn.Module:
    import torch

    stored = _stored(program, known)
    for site in _sites(program, known):
        if site.node.is_impure():  # it writes into what it is given: without a reader it would be taken for useless
            torch.fx.node.has_side_effect(site.function)
        site.node.target = site.function
    for values, name, change in stored:
        values[name] = _kept(values[name], change)
    return _renamed(torch.export.unflatten(program)).eval()


def _stored(
    program: ExportedProgram, known: Mapping[str, type[Rewrite]]
) -> list[tuple[dict[str, Any], str, Callable[[Tensor], Tensor]]]:
    """What rewrites change of parameters, buffers and constants: where each lies, its name, and how."""
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    changes = []
    for node in program.graph.nodes:
        able = [change for kind in known.values() if node.name in names and (change := kind.stored(node))]
        if able:
            name = names[node.name]
            changes.append((program.state_dict if name in program.state_dict else program.constants, name, able[0]))
    return changes


def _kept(values: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Changed values, a parameter as before."""
    from torch import nn

    changed = change(values.detach()).contiguous()
    return nn.Parameter(changed, requires_grad=False) if isinstance(values, nn.Parameter) else changed


def _renamed(module: nn.Module) -> nn.Module:
    """With constants under names that the next export gives to none: it would take one of such a name for its own."""
    import torch

    for part in module.modules():
        constants = [name for name, value in vars(part).items() if isinstance(value, torch.Tensor)]
        names = {name: _free(part, f"kept_{name}") for name in constants}
        for old, new in names.items():
            part.register_buffer(new, vars(part)[old], persistent=False)
            delattr(part, old)
        graph: Any = getattr(part, "graph", None)
        for node in graph.nodes if names and graph is not None else ():
            if node.op == "get_attr" and node.target in names:
                node.target = names[node.target]
        if names:
            part.finalize()  # type: ignore[operator]
    return module


def _free(part: nn.Module, name: str) -> str:
    return _free(part, f"kept_{name}") if hasattr(part, name) else name


def _layer(node: fx.Node) -> str:
    """The name of the module in whose code an operator stands; empty for the model's own."""
    stack = node.meta.get("nn_module_stack") or {"": ("", None)}
    return str([*stack.values()][-1][0])


def _told(name: str, rewritten: proof.Rewritten, known: Mapping[str, type[Rewrite]], format_name: str) -> str:
    where = _named(rewritten.layers[name])
    what = (known[name].__doc__ or name).split("\n")[0].rstrip(".")
    trouble = known[name].formats[format_name]
    return f"rewritten for {format_name} ({trouble} otherwise): {what}" + (f", in {where}" if where else "")


def _named(layers: Iterable[str]) -> str:
    """The first three, and how many more."""
    names = [*dict.fromkeys(filter(None, layers))]
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _left(name: str, far: float) -> str:
    return f"the rewrite {name!r} is left out: it changes answers by {far:.1e} of the largest"
