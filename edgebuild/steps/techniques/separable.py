"""Puts depthwise-separable convolutions in the place of full ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import decoupling, sites
from edgebuild.nn.restructure.decoupling import Separated
from edgebuild.nn.restructure.times import Exchange, Times
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique, Timed
from edgebuild.spec.units import Share
from edgebuild.steps import _exchanges
from edgebuild.steps._timed import curves

if TYPE_CHECKING:
    from torch import nn


_HALF = TimeBudget(0.5)
_SLOWER = "no convolution would take less time on the target as a depthwise one and one by points"


@dataclass(frozen=True, slots=True)
class Separable(Technique):
    """Convolutions become a depthwise one and one by points (Howard et al. 2017), as near to them as these can be.

    They start from the leading singular vectors of what each input channel's kernels were (Guo et al. 2018), `kernels`
    for each channel. Only those change that save time **on the target** by more than the error of its prediction, each
    counted in its own shape before and after; where nothing counts for the target, multiplications stand in for time.
    As many do as leave `budget.time` of the layers' time, those first that raise the loss on validation examples least
    for what they save, each tried alone; or, where `budget` is an accuracy, as many as lose no more of it there
    together. Fine-tune afterwards: `distill`.
    """

    budget: Annotated[
        TimeBudget | Share, Field(description="time that is left, or accuracy that may be lost before fine-tuning")
    ] = _HALF
    kernels: Annotated[int, Ge(1)] = 1
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Field(ge=2, description="validation examples that layers are tried on")] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "more time in its `budget`, or more `kernels`"
    stronger: ClassVar[str] = "less time in its `budget`"

    def timed(self) -> Timed:
        """The model's layers, and what may stand for them."""
        return Timed(shapes=Separated(self.kernels))

    def run(self, io: StepIO) -> None:
        """Replace and save; the record has what each layer alone did. UsageError where nothing pays, and for a budget
        that cannot be kept.
        """
        model = checkpoint.load(io.path("model"))
        work = layer_work(model.module, model.example())
        clock = Times.of([one.shape for one in work], curves(io))
        keep = layers.named(model.module, self.keep, "separable.keep")
        every = self._able(decoupling.exchanges(model.module, model.example(), work, self.kernels, keep))
        able, stuck = _exchanges.exchangeable(
            model.module, model.example(), every, lambda name: decoupling.swap(name, self.kernels)
        )
        paid = _exchanges.paying(able, clock, _SLOWER)
        names, tried = self._chosen(model.module, io, paid, clock)
        module, added = decoupling.separated(model.module, names, self.kernels)
        thin = replace(model, module=module, swaps=(*model.swaps, *added))
        checkpoint.save(thin, io.output)
        left = clock.left([able[name] for name in names])
        macs = [sum(one.shape.macs for one in work), sites.total(thin.module, thin.example())]
        alone = self._alone(model.module, able, tried, clock)
        whole = tried[_exchanges.WHOLE].recorded()
        records.write(io.output, {"replaced": names, "alone": alone, "whole": whole, "time": left, "macs": macs})
        count = f"{len(names)} of {len(able)} convolutions are depthwise-separable"
        notes.write(io.output, [count, *stuck, *_exchanges.lines(able, names, clock, self.budget)])

    def _able(self, able: Mapping[str, Exchange]) -> Mapping[str, Exchange]:
        """UsageError where there is none."""
        if not able:
            reason = f"no convolution would take fewer multiplications with {self.kernels} kernels a channel"
            raise UsageError(reason, hint="leave the step out: it does not pay here")
        return able

    def _chosen(
        self, module: nn.Module, io: StepIO, paid: Mapping[str, Exchange], clock: Times
    ) -> tuple[list[str], dict[str, Quality]]:
        """Those that change, and the quality of the model as it is and with each alone."""
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(names: Sequence[str]) -> Quality:
            return sensitivity.measure(decoupling.separated(module, names, self.kernels)[0], data, heads)

        return _exchanges.chosen(self.budget, paid, clock, trial, heads, "convolution")

    def _alone(
        self, module: nn.Module, able: Mapping[str, Exchange], tried: Mapping[str, Quality], clock: Times
    ) -> dict[str, Any]:
        """What each does alone, and what it takes before and after, as plain data."""
        return {
            name: {
                "lost": decoupling.lost(module.get_submodule(name), self.kernels),
                "before": clock.each(one.before),
                "after": clock.each(one.after),
                **(tried[name].recorded() if name in tried else {}),
            }
            for name, one in able.items()
        }
