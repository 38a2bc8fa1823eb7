"""A module's operators as torch.export sees them: of the whole, or else of the largest parts that can be exported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn import exporting, untraceable
from edgebuild.nn.prune import streamed
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    Example = tuple[Tensor, ...]
    Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_BATCH = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-module by name, "" for the whole; its operators in functional form, none of the large ones taken apart.

    batch: of the example that it was exported with
    """

    name: str
    program: ExportedProgram
    batch: int

    def full(self, name: str) -> str:
        """What the whole calls a module or parameter of the part."""
        return f"{self.name}.{name}".strip(".")


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts of a module; `why` the whole cannot be exported, None where it is the one part."""

    parts: tuple[Part, ...]
    why: str | None = None


def exported(module: nn.Module, example: Example) -> Parts:
    """The whole in eval mode, or what of it can be exported; UsageError, which names the place, where nothing can."""
    streamed.forget(module.eval())
    copied = streamed.sharing(module)  # it may keep what it makes, which are no numbers in here
    errors: list[Exception] = []
    for inputs in (_doubled(example), example):
        try:
            return Parts((Part("", _program(copied, inputs, {}), len(inputs[0])),))
        except Exception as error:  # models that cannot be exported fail in many ways
            if exhausted(error):
                raise
            errors.append(error)
    why, _ = untraceable.why(errors[0])
    parts = tuple(_largest(streamed.sharing(module), example))
    if not parts:
        message = f"the model's channels cannot be traced: {why}"
        raise UsageError(message, hint="leave the step out, or take prune_weights") from None
    return Parts(parts, why)


def _program(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ExportedProgram:
    import torch

    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        program = exporting.exported(module, args, kwargs, strict=False)
        functional: ExportedProgram = program.run_decompositions({})
        return functional


def _largest(module: nn.Module, example: Example) -> Iterator[Part]:
    """The outermost sub-modules that can be exported and have several layers, in the order of the code."""
    batch, calls = _calls(module, example)

    def below(outer: nn.Module, prefix: str) -> Iterator[Part]:
        for name, inner in outer.named_children():
            path = f"{prefix}.{name}".strip(".")
            program = _attempt(inner, calls[path]) if path in calls and [*inner.children()] else None
            if program is not None:
                yield Part(path, program, batch)
            else:
                yield from below(inner, path)

    return below(module, "")


def _attempt(module: nn.Module, call: Arguments) -> ExportedProgram | None:
    try:
        return _program(module, *call)
    except Exception as error:  # as above
        if exhausted(error):
            raise
        return None


def _calls(module: nn.Module, example: Example) -> tuple[int, Mapping[str, Arguments]]:
    """The batch that the module runs on, and what each sub-module is given first; nothing where it does not run."""
    import torch

    for inputs in (_doubled(example), example):
        calls: dict[str, Arguments] = {}
        hooks = [
            part.register_forward_pre_hook(_noting(calls, name), with_kwargs=True)
            for name, part in module.named_modules()
        ]
        try:
            with torch.no_grad():
                module(*inputs)
            return len(inputs[0]), calls
        except Exception as error:  # the user's code may fail in any way
            if exhausted(error):
                raise
        finally:
            for hook in hooks:
                hook.remove()
    return len(example[0]), {}


def _noting(calls: dict[str, Arguments], name: str) -> Any:
    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.setdefault(name, (args, kwargs))

    return note


def _doubled(example: Example) -> Example:
    """The example at a batch of two: one would look like any axis of one."""
    return tuple(value.expand(_BATCH, *value.shape[1:]).contiguous() if len(value) == 1 else value for value in example)
