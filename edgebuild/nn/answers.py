"""What a module answers, as the outputs that its declaration names, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.signature import TensorSpec


def listed(answer: Any) -> tuple[Tensor, ...]:
    """The tensors of an answer: one, or a tuple or list of them; TypeError for anything else."""
    import torch

    answers = (answer,) if isinstance(answer, torch.Tensor) else answer
    if not isinstance(answers, tuple | list) or not _tensors(answers):
        kinds = ", ".join(type(one).__name__ for one in answers) if isinstance(answers, tuple | list) else ""
        raise TypeError(f"{type(answer).__name__}{f' of {kinds}' if kinds else ''}")
    return tuple(answers)


def in_order(module: nn.Module, inputs: Any, answer: Any) -> tuple[Tensor, ...] | None:
    """A forward hook: the tensors of an answer in a plain tuple, where it is a mapping, a dataclass, a named tuple or
    something nested, in the order in which they stand in it, without those that are None.

    None leaves an answer as it is: where it is plain already, and where something in it is no tensor.
    """
    import torch

    if isinstance(answer, torch.Tensor) or (type(answer) in (tuple, list) and _tensors(answer)):
        return None
    leaves = tuple(_leaves(answer))
    return leaves if leaves and _tensors(leaves) else None


def _tensors(values: Iterable[Any]) -> bool:
    import torch

    return all(isinstance(one, torch.Tensor) for one in values)


def _leaves(answer: Any) -> Iterator[Any]:
    if isinstance(answer, Mapping):
        parts: Any = answer.values()
    elif isinstance(answer, tuple | list):
        parts = answer
    elif is_dataclass(answer):
        parts = (getattr(answer, field.name) for field in fields(answer))
    elif answer is None:
        return
    else:
        yield answer
        return
    for part in parts:
        yield from _leaves(part)


def mistake(answer: Any, outputs: Sequence[TensorSpec], examples: int) -> str | None:
    """How an answer to so many examples is not what is declared, behind "the model answers"; None where it is."""
    to = f"to {examples} examples, not"
    try:
        answers = listed(answer)
    except TypeError as error:
        return f"{error} {to} a tensor or a tuple of tensors"
    if len(answers) != len(outputs):
        return f"{len(answers)} tensors {to} {len(outputs)}: one for each of the outputs"
    for tensor, output in zip(answers, outputs, strict=True):
        name, dtype = f"{output.name!r} with " if len(outputs) > 1 else "", str(tensor.dtype).removeprefix("torch.")
        if list(tensor.shape) != [examples, *output.shape]:
            return f"{name}{list(tensor.shape)} {to} {[examples, *output.shape]}, which labels or outputs declare"
        if dtype != output.dtype:
            return f"{name}{dtype} {to} {output.dtype}, which outputs declares"
    return None
