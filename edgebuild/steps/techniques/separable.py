"""Puts depthwise-separable convolutions in the place of full ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.restructure import choice, decoupling, sites
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique
from edgebuild.spec.units import Share

if TYPE_CHECKING:
    from edgebuild.nn.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Separable(Technique):
    """Convolutions become a depthwise one and one by points (Howard et al. 2017), as near to them as these can be.

    They start from the leading singular vectors of what each input channel's kernels were (Guo et al. 2018), `kernels`
    for each channel. As many layers change as leave `macs` of the model's multiplications, those first that raise the
    loss on validation examples least for what they save, each tried alone; or with `budget` as many as lose no more
    accuracy there together. A layer that would take more multiplications stays. Fine-tune afterwards: `distill`.
    """

    macs: Annotated[float, Field(gt=0, lt=1, description="share of the multiplications that is left")] = 0.5
    budget: Annotated[Share | None, Field(description="accuracy that may be lost before fine-tuning")] = None
    kernels: Annotated[int, Ge(1)] = 1
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Field(ge=2, description="validation examples that layers are tried on")] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "more `macs`, more `kernels` or a `budget`"
    stronger: ClassVar[str] = "fewer `macs`"

    def run(self, io: StepIO) -> None:
        """Replace and save; the record has what each layer alone did. UsageError where that cannot be reached."""
        model = checkpoint.load(io.path("model"))
        able = self._able(model)
        saved = {name: fewer for name, (_, fewer) in able.items()}
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(names: Sequence[str]) -> sensitivity.Quality:
            return sensitivity.measure(decoupling.separated(model.module, names, self.kernels)[0], data, heads)

        whole = trial([])
        alone = {name: trial([name]) for name in able}
        harm = {name: one.loss - whole.loss for name, one in alone.items()}
        total = sites.total(model.module, model.example())
        if self.budget is None:
            names = self._enough(saved, harm, total)
        else:
            choice.refuse_without_choice(heads)
            order = sorted(able, key=lambda name: harm[name] / saved[name])
            names, _ = choice.within(order, self.budget, trial)
        module, added = decoupling.separated(model.module, names, self.kernels)
        thin = replace(model, module=module, swaps=(*model.swaps, *added))
        checkpoint.save(thin, io.output)
        after = sites.total(thin.module, thin.example())
        told = {name: {"lost": decoupling.lost(able[name][0], self.kernels), **alone[name].recorded()} for name in able}
        records.write(io.output, {"replaced": names, "alone": told, "whole": whole.recorded(), "macs": [total, after]})
        left = f"{after / total:.0%} of the multiplications are left"
        notes.write(io.output, [f"{len(names)} of {len(able)} convolutions are depthwise-separable: {left}"])

    def _able(self, model: Checkpoint) -> dict[str, tuple[Any, int]]:
        keep = layers.named(model.module, self.keep, "separable.keep")
        able = decoupling.able(model.module, model.example(), self.kernels, keep)
        if not able:
            told = f"no convolution would take fewer multiplications with {self.kernels} kernels a channel"
            raise UsageError(told, hint="leave the step out: it does not pay here")
        return able

    def _enough(self, saved: Mapping[str, int], harm: Mapping[str, float], total: int) -> list[str]:
        least = 1 - sum(saved.values()) / total
        if least > self.macs:
            told = f"{least:.2f} of the multiplications are left when every convolution changes, not {self.macs:g}"
            raise UsageError(told, option="macs", hint=f"ask for {least:.2f} or more")
        return choice.for_share(saved, harm, total, self.macs)
