"""What a teacher has answered in an earlier training of another student: it is run on a batch once, not once a student.

A seed decides batches and how they are augmented, so every student of the same training sees the same ones; the answers
to a batch are known by its very bytes. A larger teacher of small students takes most of their training.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn.answers import listed
from edgebuild.nn.train.teachers import KIND as WRITTEN
from edgebuild.spec.artifact import Input

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_MOST = 64 << 20  # bytes of answers of one teacher that are kept


class Answers:
    """Of one teacher by batch, in a file that trainings share; a torn one counts as none."""

    def __init__(self, file: Path) -> None:
        """Read what there is."""
        self._file, self._known, self._repeats = file, _read(file), True
        self._before, self._size = len(self._known), sum(map(_bytes, self._known.values()))

    def to(self, inputs: tuple[Tensor, ...], teacher: nn.Module) -> list[Tensor]:
        """What the teacher answers to a batch, asked or remembered."""
        import torch

        batch = _digest(inputs)
        if batch in self._known:
            return self._known[batch]
        chance = torch.get_rng_state()
        answers = list(listed(teacher(*inputs)))
        self._repeats = self._repeats and torch.equal(chance, torch.get_rng_state())
        if (size := self._size + _bytes(answers)) <= _MOST:
            self._known[batch], self._size = answers, size
        return answers

    def keep(self) -> None:
        """For other trainings, unless the teacher draws at random: what it answers is then another every time."""
        import torch

        if not self._repeats or len(self._known) == self._before:
            return
        with suppress(OSError):  # a disk that takes nothing more costs the next training its time
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_name(f".{os.getpid()}.{os.urandom(4).hex()}")
            torch.save(self._known, fresh)
            fresh.replace(self._file)


@contextmanager
def remembering(folder: Path | None, taught_by: Sequence[Input], modules: Sequence[nn.Module]) -> Iterator[list[Any]]:
    """The modules, each of the artifact in its place, that remember in the folder what was answered; what is new is
    kept when the training has ended well. Without a folder, and on other devices than the processor, they are as they
    were.
    """
    from torch import cuda

    if folder is None or cuda.is_available():
        yield [*modules]
        return
    answers = [Answers(folder / f"{item.digest}.pt") for item in taught_by if item.kind != WRITTEN]
    yield [_wrapped(module, known) for module, known in zip(modules, answers, strict=True)]
    for each in answers:
        each.keep()


def _wrapped(teacher: nn.Module, answers: Answers) -> nn.Module:
    from torch import nn

    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = teacher

        def forward(self, *inputs: Tensor) -> list[Tensor]:
            return answers.to(inputs, self.teacher)

    return Remembering()


def _digest(inputs: Sequence[Tensor]) -> str:
    """Of all that decides what is answered: values, types, how they lie, and the number of threads that sum them up."""
    import torch

    digest = hashlib.sha256(str(torch.get_num_threads()).encode())
    for tensor in inputs:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _bytes(answers: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in answers)


def _read(file: Path) -> dict[str, list[torch.Tensor]]:
    """No code in it is run."""
    import torch

    if not file.is_file():
        return {}
    try:
        known: dict[str, list[torch.Tensor]] = torch.load(file, weights_only=True)
    except Exception:  # torch names no base for what it raises of a damaged file
        return {}
    return known
