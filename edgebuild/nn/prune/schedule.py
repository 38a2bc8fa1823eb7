"""In how many rounds a model is pruned, and how it learns to do without what is gone after each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.nn import checkpoint
from edgebuild.nn.train import batches, training
from edgebuild.nn.train.taught import lesson
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import owner
from edgebuild.spec.fields import STRICT
from edgebuild.spec.model import Training

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.checkpoint import Checkpoint

_ALPHA, _TEMPERATURE = 0.1, 4.0  # of the fine-tuning's loss, as `distill` has them


@dataclass(frozen=True, slots=True)
class Schedule:
    """After each of its rounds, `epochs` of fine-tuning on labels and on the model's own answers before pruning.

    one-shot: everything in one round. iterative: the same share more in each (Han et al. 2015, section 3.3). cubic:
    s_k = s·(1 − (1 − k/n)³), much at first and little at the end (Zhu & Gupta 2017, equation 1 with s_0 = 0).
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["one-shot", "iterative", "cubic"] = "one-shot"
    rounds: Annotated[int, Ge(1)] = 1
    epochs: Annotated[int, Field(ge=0, description="of fine-tuning after each round")] = 0
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.02
    weight_decay: Annotated[float, Ge(0)] = 5e-4

    def __post_init__(self) -> None:
        """ValueError for several rounds with nothing between them, and for a kind that the rounds contradict."""
        if (self.kind == "one-shot") != (self.rounds == 1):
            expected = "one round" if self.kind == "one-shot" else "two rounds or more"
            raise ValueError(f"{self.kind} pruning has {expected}, not {self.rounds}")
        if self.rounds > 1 and not self.epochs:
            raise ValueError(f"{self.rounds} rounds with no epochs between them are one")

    def shares(self) -> list[float]:
        """The share of what is pruned in the end that is gone after each round; the last is 1."""
        done = [number / self.rounds for number in range(1, self.rounds + 1)]
        return [1 - (1 - part) ** 3 for part in done] if self.kind == "cubic" else done

    def carry_out(self, model: Checkpoint, io: StepIO, cut: Callable[[float], None], seed: int) -> None:
        """Let `cut(share)` prune the model to each share, and fine-tune it in place after each.

        The teacher is the step's input `model` as it came. Zeros of sparse parameters stay zero.
        """
        teacher = checkpoint.load(io.path("model")).module if self.epochs else None
        for number, share in enumerate(self.shares()):
            cut(share)
            if teacher is not None:
                self._tune(model, teacher, io, number, seed)

    def _tune(self, model: Checkpoint, teacher: nn.Module, io: StepIO, number: int, seed: int) -> None:
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=seed)
        data = dataset.read(io.path("data"), "train")

        before = number * batches.steps(data, how)

        def progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
            line = f"round {number + 1} of {self.rounds}, {note}"
            io.progress((number + done) / self.rounds, line, step=before + step, **scalars)

        loss = lesson(dataset.heads(io.path("data")), "soft", _ALPHA, _TEMPERATURE, [teacher])
        sparse, augment = model.sparse_parameters(), model.augmentation()
        with owner("schedule"):
            training.fit(model.module, data, loss, how, sparse=sparse, augment=augment, progress=progress)
