"""Sparsity training: batch norms learn which channels they can do without (Liu et al. 2017, "Network Slimming")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.nn.train import losses, training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError, owner
from edgebuild.spec.fields import STRICT
from edgebuild.spec.model import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.nn.train.losses import Loss


@dataclass(frozen=True, slots=True)
class Slimming:
    """Training with `strength`·Σ|γ| on top of the loss, γ the scales of all batch norms (Liu et al. 2017, eq. 1)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    epochs: Annotated[int, Ge(1)] = 10
    strength: Annotated[float, Field(gt=0, description="weight of the L1 norm of the scales")] = 1e-3
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.02
    weight_decay: Annotated[float, Ge(0)] = 5e-4

    def carry_out(self, model: Checkpoint, io: StepIO, seed: int) -> None:
        """Train the model in place; UsageError when it has no batch norm."""
        scales = _scales(model.module)
        if not scales:
            raise UsageError("the model has no batch norm", option="slimming", hint="take another criterion")
        plain = losses.supervised(dataset.heads(io.path("data")))
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=seed)

        def progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
            io.progress(done, f"slimming, {note}", step=step, **{f"slimming_{k}": v for k, v in scalars.items()})

        data, sparse = dataset.read(io.path("data"), "train"), model.sparse_parameters()
        loss = penalized(plain, scales, self.strength)
        with owner("slimming"):
            training.fit(model.module, data, loss, how, sparse=sparse, augment=model.augmentation(), progress=progress)


def penalized(loss: Loss, scales: list[nn.Parameter], strength: float) -> Loss:
    """The loss with strength·Σ|γ| added."""

    def total(module: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
        penalty: Tensor = sum((scale.abs().sum() for scale in scales), start=scales[0].new_zeros(()))
        return loss(module, inputs, labels) + strength * penalty

    return total


def _scales(module: nn.Module) -> list[nn.Parameter]:
    from torch import nn

    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.affine]
    return [norm.weight for norm in norms]
