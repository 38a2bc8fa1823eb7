"""Takes one of the networks out of those that were trained in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import choice, slices
from edgebuild.nn.restructure.slices import EverySlice, Nest, Sliced
from edgebuild.nn.restructure.times import Times
from edgebuild.nn.train import statistics, training
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique, Timed
from edgebuild.spec.units import Share
from edgebuild.steps._timed import curves
from edgebuild.steps.techniques.elastic import Elastic, measured

if TYPE_CHECKING:
    from edgebuild.nn.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Slice(Technique):
    """One slice of what `elastic` trained, without training: statistics of its batch norms are estimated anew.

    It is named by `width` and `blocks`, or chosen on validation examples: with a `budget` of accuracy the one with the
    fewest multiplications that costs no more of it against the whole, with `budget.time` the one of least loss among
    those that take no more than that share of the whole's time on the target, each layer of each slice counted in its
    own shape; with `macs` the same by multiplications, which also stand in for time where nothing counts.
    """

    width: Annotated[float, Field(gt=0, le=1, description="share of the channels; one of those of `elastic`")] = 0.5
    blocks: Annotated[int, Field(ge=0, description="residual blocks that it lacks")] = 0
    budget: Annotated[
        TimeBudget | Share | None, Field(description="accuracy that it may cost, or time that it may take")
    ] = None
    macs: Annotated[float | None, Field(gt=0, le=1, description="share of the multiplications that it may take")] = None
    examples: Annotated[int, Ge(2)] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "a larger `width`"
    stronger: ClassVar[str] = "a smaller `width`"

    def __post_init__(self) -> None:
        """ValueError for two ways to choose at once."""
        if self.budget is not None and self.macs is not None:
            raise ValueError("budget and macs each choose a slice: keep one")

    def misplaced(self, before: Sequence[Technique]) -> str | None:
        """It takes what `elastic` leaves, as it is; of a slice that is named, the plan knows whether it is there."""
        if not before or not isinstance(before[-1], Elastic):
            return "takes one of the networks that 'elastic' trains: put that before it, and nothing between"
        if self._chosen:
            return None
        widths, most = sorted({*before[-1].widths, 1.0}), before[-1].blocks
        if self.width not in widths:
            return f"names width {self.width:g}, and 'elastic' trains {', '.join(f'{each:g}' for each in widths)}"
        return None if self.blocks <= most else f"lacks {self.blocks} blocks, and with 'elastic' slices lack {most}"

    def timed(self) -> Timed | None:
        """The layers of every slice, for a budget of time."""
        return Timed(shapes=EverySlice()) if isinstance(self.budget, TimeBudget) else None

    @property
    def _chosen(self) -> bool:
        return self.budget is not None or self.macs is not None

    def run(self, io: StepIO) -> None:
        """Cut it out and save it; UsageError where no slice is as asked for."""
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        sliced = Sliced.of(model.module, model.example(), Nest.read(io.path("model")))
        taken, table = self._taken(sliced, model, io)
        module, swaps = sliced.cut(taken)
        statistics.estimate(module, dataset.read(io.path("data"), "train"))
        checkpoint.save(replace(model, module=module, swaps=(*model.swaps, *swaps)), io.output)
        records.write(io.output, {"width": taken.width, "removed": taken.removed, "slices": table})
        notes.write(io.output, [self._line(taken, table)] if table else [])

    def _taken(
        self, sliced: Sliced, model: Checkpoint, io: StepIO
    ) -> tuple[slices.Slice, Sequence[dict[str, Any]] | None]:
        """The slice that is named, or that is chosen, with what was seen of all."""
        if not self._chosen:
            named = slices.Slice(self.width, self.blocks)
            if named not in sliced.nest.slices():
                raise UsageError(f"there is no slice of {named}", option="width")
            return named, None
        heads, example = dataset.heads(io.path("data")), model.example()
        if isinstance(self.budget, float):
            choice.refuse_without_choice(heads)
        clock = Times.of([one.shape for one in layer_work(model.module, example)], curves(io))
        table = measured(sliced, io, example, heads, self.examples, self.seed, clock)
        one = self._within(self.budget, table) if isinstance(self.budget, float) else self._fitting(table)
        return slices.Slice(one["width"], one["removed"]), table

    def _within(self, budget: float, table: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The least work that costs no more than the budget: the whole costs nothing."""
        least = _shares(table[-1])
        fits = [one for one in table if max(a - b for a, b in zip(least, _shares(one), strict=True)) <= budget]
        return min(fits, key=lambda one: one["macs"])

    def _fitting(self, table: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The least loss of those that take no more than the share."""
        timed = isinstance(self.budget, TimeBudget)
        key, what = ("time", "layers' time") if timed else ("share", "multiplications")
        most = self.budget.time if isinstance(self.budget, TimeBudget) else self.macs
        assert most is not None
        fits = [one for one in table if one[key] <= most]
        if not fits:
            least = min(one[key] for one in table)
            reason = f"the smallest slice takes {least:.2f} of the {what}, not {most:g}"
            hint = f"ask for {least:.2f} or more, or give `elastic` smaller widths"
            raise UsageError(reason, option="budget.time" if timed else "macs", hint=hint)
        return min(fits, key=lambda one: one["loss"])

    def _line(self, taken: slices.Slice, table: Sequence[dict[str, Any]]) -> str:
        one = next(each for each in table if (each["width"], each["removed"]) == (taken.width, taken.removed))
        right = (
            ""
            if not isinstance(self.budget, float)
            else f", {one['accuracy']:.2%} right (the whole: {table[-1]['accuracy']:.2%})"
        )
        line = f"{taken} of {len(table)} slices, by {one['examples']} validation examples: "
        time = f"{one['time']:.0%} of the layers' counted time, " if one["counted"] else ""
        return line + f"{time}{one['share']:.0%} of the multiplications, loss {one['loss']:.3g}{right}"


def _shares(one: dict[str, Any]) -> list[float]:
    """Right answers of each head that has any."""
    return list(one.get("heads", [one["accuracy"]]))
