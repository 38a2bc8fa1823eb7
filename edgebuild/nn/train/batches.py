"""Batches of examples for training: every epoch in a new order that can be taken up again, or once as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Batch = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


class Order:
    """Every epoch's full batches in a new order drawn from a generator; a shorter last batch is left out.

    `rows` is the epoch's order: with the generator's state, all that is needed to go on from a step.
    """

    def __init__(self, total: int, training: Training, generator: torch.Generator) -> None:
        """For `total` examples; nothing is drawn yet."""
        import torch

        self.total, self.size, self.generator = total, min(total, training.batch_size), generator
        self.per_epoch = per_epoch(total, training)
        self.rows = torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Tensor:
        """The rows of a step's batch; steps are asked for one after another."""
        import torch

        place = step % self.per_epoch
        if place == 0:
            self.rows = torch.randperm(self.total, generator=self.generator)
        return self.rows[place * self.size : (place + 1) * self.size]

    def state(self) -> dict[str, Tensor]:
        """All that decides what is drawn from here on, torch's own generators with it."""
        import torch

        cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
        return {"rows": self.rows, "generator": self.generator.get_state(), "random": torch.get_rng_state()} | cuda

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken."""
        import torch

        self.rows = state["rows"]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"])


def per_epoch(total: int, training: Training) -> int:
    """How many batches an epoch has."""
    return max(1, total // training.batch_size)


def steps(data: Split | Stored, training: Training) -> int:
    """How many optimiser steps a training takes."""
    return training.epochs * per_epoch(len(data), training)


def in_order(data: Split | Stored, size: int = 64) -> Iterator[Batch]:
    """All examples once as they come, in batches of inputs and labels; the last may be shorter."""
    for start in range(0, len(data), size):
        yield tensors(data.take(slice(start, start + size)))


def tensors(examples: Split) -> Batch:
    """Inputs and labels, writable: torch warns of any other."""
    import numpy as np
    import torch

    inputs, labels = (
        tuple(torch.from_numpy(np.require(values, requirements=("W", "C"))) for values in side)
        for side in (examples.inputs, examples.labels)
    )
    return inputs, labels
