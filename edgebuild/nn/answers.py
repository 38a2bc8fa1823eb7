"""What a module answers, as the outputs that its declaration names, in their order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.signature import ANSWER

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.signature import TensorSpec


def listed(answer: Any) -> tuple[Tensor, ...]:
    """The tensors of an answer: one, or a tuple or list of them; TypeError for anything else."""
    import torch

    answers = (answer,) if isinstance(answer, torch.Tensor) else answer
    if not isinstance(answers, tuple | list) or not _tensors(answers):
        raise TypeError(f"{type(answer).__name__}{_no_tensor(answer)}")
    return tuple(answers)


def _no_tensor(answer: Any) -> str:
    """What in an answer is none, behind its type, by the keys, fields and places that lead there."""
    import torch

    others = [(path, one) for path, one in _named(answer, ()) if not isinstance(one, torch.Tensor) and path]
    if not others:
        return " of nothing" if isinstance(answer, Mapping | tuple | list) else ""
    path, one = others[0]
    return f", whose {'.'.join(map(str, path))} is {type(one).__name__},"


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


def names(answer: Any) -> list[str]:
    """What the tensors of an answer are called, in the order of `in_order`: by the keys or fields that lead to each,
    joined by "_", and by numbers where there are none ("output_1"). Each is an identifier, and no two are the same.
    """
    paths = [path for path, _ in _named(answer, ())]
    plain = [_identifier(path) for path in paths]
    if len(paths) == 1 and all(isinstance(step, int) for step in paths[0]):
        plain = [ANSWER]
    unique: list[str] = []
    for name in plain:
        unique.append(next(each for each in _numbered(name) if each not in unique))
    return unique


def _identifier(path: tuple[Any, ...]) -> str:
    joined = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(map(str, path))).strip("_")
    return joined if joined[:1].isalpha() else f"{ANSWER}_{joined}"


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))


def _tensors(values: Iterable[Any]) -> bool:
    import torch

    return all(isinstance(one, torch.Tensor) for one in values)


def _leaves(answer: Any) -> Iterator[Any]:
    yield from (leaf for _, leaf in _named(answer, ()))


def _named(answer: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What an answer holds but None, each behind the keys, fields and places that lead to it."""
    if isinstance(answer, Mapping):
        parts: Iterable[tuple[Any, Any]] = answer.items()
    elif isinstance(answer, tuple | list):
        parts = zip(getattr(answer, "_fields", range(len(answer))), answer, strict=True)
    elif is_dataclass(answer):
        parts = ((field.name, getattr(answer, field.name)) for field in fields(answer))
    elif answer is None:
        return
    else:
        yield path, answer
        return
    for step, part in parts:
        yield from _named(part, (*path, step))


def misplaced(called: Sequence[str], outputs: Sequence[TensorSpec]) -> str | None:
    """How the keys of an answer are those that are declared in another order, behind "the model answers"; None where
    they are not. Outputs are told apart by their order, and shapes need not show it.
    """
    declared = [output.name for output in outputs]
    if declared == [*called] or sorted(declared) != sorted(called):
        return None
    return f"{', '.join(called)}, in this order, not {', '.join(declared)}, which outputs declares"


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
