"""How a module is given its declared inputs: by the names of its forward's arguments where they are declared by these,
by position where they are not, and in a dict or tuple where it takes one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import exhausted
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    Call = Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]


def answered(module: nn.Module, inputs: tuple[TensorSpec, ...], tensors: tuple[Tensor, ...]) -> Any:
    """What the module answers to the inputs, in the order in which they are declared; from then on it takes them so.

    Raises what it raised in the first way, where it takes them in none.
    """
    first: Exception | None = None
    kind = type(module)
    for call in _ways(module, [spec.name for spec in inputs]):
        module.__class__ = kind if call is None else _adapted(kind, [spec.name for spec in inputs], call)
        try:
            return module(*tensors)
        except Exception as error:  # a forward pass may fail in any way
            if exhausted(error):
                raise
            first = first or error
    module.__class__ = kind
    assert first is not None
    raise first


def hint(module: nn.Module, inputs: tuple[TensorSpec, ...]) -> str | None:
    """What is likely to be wrong with a module that raised: parameters in other floats, or zeros where whole
    numbers such as lengths may not be 0.
    """
    import torch

    kinds = {own.dtype for own in module.parameters() if own.is_floating_point()} - {torch.float32}
    if kinds:
        return f"it has parameters of {', '.join(map(str, kinds))}: .float() makes them float32"
    whole = [spec.name for spec in inputs if "int" in spec.dtype]
    zeros = f"it is tried and exported with zeros, also for {', '.join(whole)}: clamp what may not be 0"
    return zeros if whole else None


def _ways(module: nn.Module, names: Sequence[str]) -> Iterator[Call | None]:
    """Those in which its forward may take inputs of these names, the likeliest first; None is by position, as it is."""
    try:
        takes = inspect.signature(module.forward)
    except (TypeError, ValueError):  # of no Python code
        takes = Signature([Parameter("inputs", Parameter.VAR_POSITIONAL)])
    if "forward" in vars(module):  # in the place of its class's, which alone could be adapted
        yield None
        return
    unnamed, named = _by_name(takes, names)
    by_position = _binds(takes, names, {})
    if _binds(takes, unnamed, named):
        as_it_is = by_position and takes.bind(*names).arguments == takes.bind(*unnamed, **named).arguments
        # What gathers them in *inputs takes one input for torch.export.
        gathers = any(one.kind is Parameter.VAR_POSITIONAL for one in takes.parameters.values())
        yield None if as_it_is and not gathers else _by(names, set(named))
    elif by_position:
        yield None
    if _binds(takes, ["one"], {}):
        yield lambda tensors: ((dict(zip(names, tensors, strict=True)),), {})
        if len(names) > 1:
            yield lambda tensors: ((tuple(tensors),), {})
    else:
        yield None  # it says itself what it misses


def _by_name(takes: Signature, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Which names go in by position, and which by name: those of its arguments, or all where it gathers the others."""
    kinds = {name: one.kind for name, one in takes.parameters.items()}
    known = [name for name in names if kinds.get(name) in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    gathered = Parameter.VAR_KEYWORD in kinds.values() and (known or Parameter.VAR_POSITIONAL not in kinds.values())
    if gathered and not _binds(takes, [name for name in names if name not in known], dict.fromkeys(known, "")):
        known = [*names]
    return [name for name in names if name not in known], {name: name for name in known}


def _binds(takes: Signature, unnamed: Sequence[str], named: dict[str, str]) -> bool:
    try:
        takes.bind(*unnamed, **named)
    except TypeError:
        return False
    return True


def _by(names: Sequence[str], known: set[str]) -> Call:
    """By name what is known by it, in order what is not."""

    def call(tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        pairs = list(zip(names, tensors, strict=True))
        return tuple(each for name, each in pairs if name not in known), {n: each for n, each in pairs if n in known}

    return call


def _adapted(kind: type[nn.Module], names: Sequence[str], call: Call) -> type[nn.Module]:
    """A class like the module's whose forward takes as many tensors by position; as a class, it is copied with it."""

    def forward(self: nn.Module, *tensors: Any) -> Any:
        unnamed, named = call(tensors)
        return kind.forward(self, *unnamed, **named)

    plain = all(name.isidentifier() and not iskeyword(name) for name in names) and "self" not in names
    shown_as = names if plain else [f"input_{number}" for number in range(len(names))]
    ordered = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *shown_as)]
    forward.__signature__ = Signature(ordered)  # type: ignore[attr-defined]
    shown = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {"forward": forward, **shown})
