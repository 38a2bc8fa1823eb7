"""Puts fixed scales in the place of gates by channel, where these take time on the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import gating
from edgebuild.nn.restructure.gating import Gated
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.restructure.times import Times
from edgebuild.nn.train.batches import in_order
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique, Timed
from edgebuild.spec.units import Share
from edgebuild.steps import _exchanges
from edgebuild.steps._timed import curves

if TYPE_CHECKING:
    from edgebuild.nn.prune.sensitivity import Quality

_BATCH = 64


@dataclass(frozen=True, slots=True)
class FixGates(Technique):
    """Gates by channel (squeeze and excitation, Hu et al. 2018) become fixed scales, the nearest in least squares to
    what the gates gave to training examples.

    Those do that save time **on the target** by more than the error of its prediction, the gate and the scale counted
    in their own shape: all of them, or with `budget` as many as leave that share of the layers' time or lose no more
    accuracy on validation examples together, those first that raise the loss there least for what they save. Where
    nothing counts for the target, multiplications stand in for time. Fine-tune afterwards: `distill`.
    """

    budget: Annotated[
        TimeBudget | Share | None,
        Field(description="time that is left, or accuracy that may be lost before fine-tuning"),
    ] = None
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Ge(2), Field(description="examples that scales are taken from, and a budget looks at")] = (
        512
    )
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "some of them in `keep`, or a `budget`"

    def timed(self) -> Timed:
        """The model's layers, its gates, and what may stand for them."""
        return Timed(shapes=Gated())

    def run(self, io: StepIO) -> None:
        """Exchange and save. UsageError where the model has no gate, where none pays, and for a budget that cannot be
        kept.
        """
        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "fix_gates.keep")
        every = gating.exchanges(model.module, model.example(), keep)
        if not every:
            raise UsageError("the model has no gate by channel in a module of one name", hint="leave the step out")
        able, stuck = _exchanges.exchangeable(
            model.module, model.example(), every, lambda name: Swap(name, "scale", (1, 2))
        )
        work = [one for one in layer_work(model.module, model.example()) if not _within(one.parameter, able)]
        gates = [shape for one in able.values() for shape in one.before]
        clock = Times.of([*(one.shape for one in work), *gates], curves(io))
        paid = _exchanges.paying(able, clock, "no gate would take less time on the target as a fixed scale")
        learnt = [
            inputs for inputs, _ in in_order(dataset.calibration(io.path("data"), self.examples, self.seed), _BATCH)
        ]
        held, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(names: Sequence[str]) -> Quality:
            return sensitivity.measure(gating.fixed(model.module, names, learnt)[0].eval(), held, heads)

        names, tried = _exchanges.chosen(self.budget, paid, clock, trial, heads, "gate")
        module, added = gating.fixed(model.module, names, learnt)
        checkpoint.save(replace(model, module=module, swaps=(*model.swaps, *added)), io.output)
        times = {name: [clock.each(one.before), clock.each(one.after)] for name, one in able.items()}
        alone = {name: one.recorded() for name, one in tried.items()}
        records.write(io.output, {"fixed": names, "times": times, "alone": alone})
        count = f"{len(names)} of {len(able)} gates are fixed scales now"
        notes.write(io.output, [count, *stuck, *_exchanges.lines(able, names, clock, self.budget)])


def _within(parameter: str, gates: Iterable[str]) -> bool:
    """Whether it is one of a gate's own, whose time is the gate's."""
    return any(parameter.startswith(f"{name}.") for name in gates)
