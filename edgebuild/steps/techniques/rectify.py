"""Puts rectifiers in the place of activations for which a target's kernels are slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import rectifying, swaps
from edgebuild.nn.restructure.rectifying import Activations
from edgebuild.nn.restructure.swaps import Swap
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

    from edgebuild.nn.checkpoint import Checkpoint

Smooth = Literal["Hardswish", "SiLU", "GELU", "Mish", "ELU", "CELU", "SELU", "Softplus"]


@dataclass(frozen=True, slots=True)
class Rectify(Technique):
    """Smooth activations become ReLU6 or ReLU, which runtimes compute within the layer before (Howard et al. 2019).

    Those do that take more time **on the target** by more than the error of its prediction, each counted in its own
    shape: all of them, or with `budget` as many as leave that share of the layers' time or lose no more accuracy on
    validation examples together, those first that raise the loss there least for what they save. Where nothing counts
    for the target, all that are named do. They are found as modules (`nn.Hardswish()`): a function that the model's
    code calls cannot be exchanged. Answers change much until it is fine-tuned: `distill`.
    """

    activations: Annotated[tuple[Smooth, ...], Field(min_length=1, description="classes of torch.nn")] = ("Hardswish",)
    by: Literal["relu6", "relu"] = "relu6"
    budget: Annotated[
        TimeBudget | Share | None,
        Field(description="time that is left, or accuracy that may be lost before fine-tuning"),
    ] = None
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Ge(2), Field(description="validation examples that a budget looks at")] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "some of them in `keep`, or a `budget`"

    def uses(self) -> tuple[str, ...]:
        """Data only for a budget."""
        return ("model", "data") if self.budget is not None else ("model",)

    def timed(self) -> Timed:
        """The model's layers and activations."""
        return Timed(shapes=Activations(self.activations, self.by))

    def run(self, io: StepIO) -> None:
        """Exchange and save. UsageError where the model has no such module, where none takes time of its own, and for
        a budget that cannot be kept.
        """
        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "rectify.keep")
        example = model.example()
        every = self._found(rectifying.exchanges(model.module, example, self.activations, self.by, keep))
        exchanges, stuck = _exchanges.exchangeable(model.module, example, every, lambda name: Swap(name, self.by))
        clock = self._clock(model, io, exchanges)
        names = self._chosen(model.module, io, self._paying(exchanges, clock), clock)
        added = tuple(Swap(name, self.by) for name in names)
        swaps.apply(model.module, added)
        checkpoint.save(replace(model, swaps=(*model.swaps, *added)), io.output)
        left = clock.left([exchanges[name] for name in names])
        pairs = {name: [clock.each(one.before), clock.each(one.after)] for name, one in exchanges.items()}
        records.write(
            io.output, {"exchanged": names, "time": left, "times": pairs} if clock.counted else {"exchanged": names}
        )
        count = f"{len(names)} of {len(exchanges)} activations are {self.by} now"
        lines = _exchanges.lines(exchanges, names, clock, self.budget) if clock.counted else []
        notes.write(io.output, [count, *stuck, *lines])

    def _found(self, exchanges: Mapping[str, Exchange]) -> Mapping[str, Exchange]:
        """UsageError where there is none."""
        if not exchanges:
            reason = f"the model has no module {' or '.join(f'nn.{name}' for name in self.activations)} of one name"
            hint = "a function that its code calls cannot be exchanged: make it a module, one for each place"
            raise UsageError(reason, option="activations", hint=hint)
        return exchanges

    def _clock(self, model: Checkpoint, io: StepIO, exchanges: Mapping[str, Exchange]) -> Times:
        """Against the layers and what all activations take; UsageError for a share of a time that nothing counts."""
        known = curves(io)
        if isinstance(self.budget, TimeBudget) and not known:
            reason = "no emulated core counts for this target, and what activations take is not known otherwise"
            raise UsageError(reason, option="budget.time", hint="leave the budget out, or give one of accuracy")
        work = [one.shape for one in layer_work(model.module, model.example())] if known else []
        return Times.of([*work, *(shape for one in exchanges.values() for shape in one.before)], known)

    def _paying(self, exchanges: Mapping[str, Exchange], clock: Times) -> Mapping[str, Exchange]:
        """Those that take time, where that is known."""
        if not clock.counted:
            return exchanges
        reason = f"no {' or '.join(self.activations)} takes more time on the target than {self.by}"
        return _exchanges.paying(exchanges, clock, reason)

    def _chosen(self, module: nn.Module, io: StepIO, paid: Mapping[str, Exchange], clock: Times) -> list[str]:
        """Those that change: all that pay, or as the budget says."""
        if self.budget is None:
            return [*paid]
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(names: Sequence[str]) -> Quality:
            parts = {name: Swap(name, self.by) for name in names}
            return sensitivity.measure(swaps.exchanged(module, parts).eval(), data, heads)

        return _exchanges.chosen(self.budget, paid, clock, trial, heads, "activation")[0]
