"""Lets the weights of each layer share few values, so that the download needs to name them and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import sharing
from edgebuild.nn.quantize.folding import fold, freeze
from edgebuild.nn.train import losses, training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Training
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.nn.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Codebook(Technique):
    """K-means codebook of 2^bits shared weights for each tensor (Han, Mao & Dally, ICLR 2016, section 3).

    Batch norms are folded first, so that the exported file has no more values either. Zeros of pruned weights stay and
    take one place. With `epochs`, the shared values are fine-tuned by the sum of their weights' gradients. The file is
    float: the gain is in the download; an integer step behind rounds the values once more.
    """

    bits: Annotated[int, Ge(1), Le(8)] = 5
    linear_bits: Annotated[int | None, Ge(1), Le(8), Field(description="of matrices, where other than `bits`")] = None
    epochs: Annotated[int, Ge(0), Field(description="of fine-tuning of the shared values")] = 0
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.01
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "scikit-learn")
    values_only: ClassVar[bool] = True
    final: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `bits` or `epochs`"

    def uses(self) -> tuple[str, ...]:
        """Data only for fine-tuning."""
        return ("model", "data") if self.epochs else ("model",)

    def run(self, io: StepIO) -> None:
        """Fold, cluster, fine-tune, save; UsageError when nothing has more values than a codebook."""
        import torch

        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        before = {name: sharing.distinct(p) for name, p in model.module.named_parameters() if p.ndim > 1}
        shared = self._shared(model)
        if self.epochs:
            self._tune(model, shared, io)
        with torch.no_grad():
            for name, (values, places) in shared.items():
                model.module.get_parameter(name).copy_(values[places])
        after = {name: sharing.distinct(model.module.get_parameter(name)) for name in before}
        if before == after:
            message = "every weight tensor of the model has as few values already"
            raise UsageError(message, key="codebook.bits", hint="use fewer bits, or leave the step out")
        checkpoint.save(model, io.output)
        records.write(io.output, {"values": {name: [before[name], after[name]] for name in before}})

    def _shared(self, model: Checkpoint) -> dict[str, tuple[Tensor, Tensor]]:
        named = {name: p for name, p in model.module.named_parameters() if p.ndim > 1}
        return {name: sharing.cluster(p, self._count(p), name in model.sparse) for name, p in named.items()}

    def _count(self, weight: Tensor) -> int:
        bits = self.bits if weight.ndim > 2 or self.linear_bits is None else self.linear_bits
        return int(2**bits)

    def _tune(self, model: Checkpoint, shared: dict[str, tuple[Tensor, Tensor]], io: StepIO) -> None:
        graph = trace(model.module, model.inputs)
        freeze(graph)
        tuned: Any = sharing.trainable(graph, shared, {*model.sparse})
        data = dataset.read(io.path("data"), "train")
        loss = losses.supervised(dataset.heads(io.path("data")))
        how = Training(self.epochs, self.batch_size, self.learning_rate, 0.0, seed=self.seed)
        training.fit(tuned, data, loss, how, sparse=(), augment=model.augmentation(), progress=io.progress)
        for (name, (_, places)), values in zip(list(shared.items()), tuned.current(), strict=True):
            shared[name] = (values.detach(), places)
