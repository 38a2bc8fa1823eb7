"""Puts rectifiers in the place of activations for which a target's kernels are slow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.restructure import swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec import notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.technique import Technique

Smooth = Literal["Hardswish", "SiLU", "GELU", "Mish", "ELU", "CELU", "SELU", "Softplus"]


@dataclass(frozen=True, slots=True)
class Rectify(Technique):
    """Smooth activations become ReLU6 or ReLU, which runtimes compute within the layer before (Howard et al. 2019).

    They are found as modules (`nn.Hardswish()`): a function that the model's code calls cannot be exchanged. Answers
    change much until it is fine-tuned: `distill`.
    """

    activations: Annotated[tuple[Smooth, ...], Field(min_length=1, description="classes of torch.nn")] = ("Hardswish",)
    by: Literal["relu6", "relu"] = "relu6"
    keep: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "some of them in `keep`"

    def run(self, io: StepIO) -> None:
        """Exchange and save. UsageError where the model has no such module."""
        from torch import nn

        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "rectify.keep")
        kinds = [getattr(nn, name) for name in self.activations]
        found = swaps.candidates(model.module, kinds, keep)
        if not found:
            told = f"the model has no module {' or '.join(f'nn.{name}' for name in self.activations)} of one name"
            hint = "a function that its code calls cannot be exchanged: make it a module, one for each place"
            raise UsageError(told, option="activations", hint=hint)
        added = tuple(Swap(name, self.by) for name in found)
        swaps.apply(model.module, added)
        checkpoint.save(replace(model, swaps=(*model.swaps, *added)), io.output)
        records.write(io.output, {"exchanged": [*found]})
        notes.write(io.output, [f"{len(found)} activations are {self.by} now"])
