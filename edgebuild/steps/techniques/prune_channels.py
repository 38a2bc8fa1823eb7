"""Removes whole channels and attention heads, so that what is left is a smaller dense model."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import channels, importance, sensitivity, shares, time_budget, units
from edgebuild.nn.prune.channels import Inventory
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.prune.slimming import Slimming
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.prune.units import Units
from edgebuild.nn.train import losses, training
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.target import Hardware
from edgebuild.spec.technique import Technique, Timed
from edgebuild.spec.units import Share
from edgebuild.steps._timed import curves

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.spec.rows import Split

    Chosen = tuple[Units, Collection[int]]

_NOTICEABLE = 0.005  # of all channels


@dataclass(frozen=True, slots=True)
class PruneChannels(Technique):
    """Each dependency group loses `ratio` of its channels, the least important (DepGraph, Fang et al., CVPR 2023).

    Attention loses whole heads, `heads` of them or `ratio` as well. `scope` "global" lets all groups compete, and
    `budget` chooses ratios by a sensitivity scan (Li et al. 2017): an accuracy that may be lost, or with
    `{ time = 0.5 }` the share of the layers' time on the target that is left. Counts are multiples of `round_to`, which
    defaults to the target's `channel_multiple`, as near to the ratio as all layers together allow and never beyond it.
    Whole stay layers with no more channels than that, those that make the outputs, those named in `keep`, and, named
    in a notice, those that cannot be followed. Criteria and their sources are in `nn/importance.py`. Accuracy falls to
    chance: fine-tune afterwards, or by the schedule.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    norm: Literal[1, 2] = 2
    round_to: Annotated[int, Ge(1)] = 8
    keep: tuple[str, ...] = ()
    criterion: importance.Name = "magnitude"
    scope: Annotated[Literal["layer", "global"], Field(description="where channels compete to stay")] = "layer"
    heads: Annotated[float | None, Field(ge=0, lt=1, description="share of attention heads that go")] = None
    budget: Annotated[
        TimeBudget | Share | None,
        Field(description="accuracy that may be lost before fine-tuning, or time left"),
    ] = None
    schedule: Schedule = field(default_factory=Schedule)
    slimming: Annotated[Slimming | None, Field(description="sparsity training, for batch_norm")] = None
    examples: Annotated[
        int, Field(ge=2, description="training examples for criteria, validation examples for the scan")
    ] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "a lower `ratio` or a `budget`"
    stronger: ClassVar[str] = "a higher `ratio`"

    @classmethod
    def from_hardware(cls, hardware: Hardware) -> Mapping[str, Any]:
        """Channel counts that its kernels like."""
        return {"round_to": hardware.channel_multiple}

    def __post_init__(self) -> None:
        """ValueError for options that contradict each other."""
        if self.budget is not None and self.scope == "global":
            raise ValueError("budget decides layer by layer, so scope cannot be global")
        if self.budget is not None and self.heads is not None:
            raise ValueError("budget and heads each say how many heads go: keep one")
        if self.slimming is not None and self.criterion != "batch_norm":
            raise ValueError(f"slimming trains the scales of batch norms, which criterion {self.criterion} ignores")

    def uses(self) -> tuple[str, ...]:
        """Data only for what learns or looks at examples."""
        looks = self.criterion not in importance.DATA_FREE or self.slimming or self.budget or self.schedule.epochs
        return ("model", "data") if looks else ("model",)

    def leaves(self) -> float:
        """A matrix loses the ratio of its inputs and of its outputs; where layers compete, one may lose more."""
        if self.budget is not None or self.scope == "global":
            return 0.0
        return (1 - max(self.ratio, self.heads or 0.0)) ** 2

    def timed(self) -> Timed | None:
        """The model's layers at multiples of `round_to`, for a budget of time."""
        return Timed(self.round_to) if isinstance(self.budget, TimeBudget) else None

    def run(self, io: StepIO) -> None:
        """Prune, fine-tune where the schedule says so, and save; `record.json` says what became of each layer.

        UsageError when nothing can be removed, or the model's channels cannot be traced at all.
        """
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        if self.slimming is not None:
            self.slimming.carry_out(model, io, self.seed)
        record = self._prune(model, io)
        checkpoint.save(model, io.output)
        records.write(io.output, record)
        remarks = [*channels.remarks(record["unfollowed"]), *_differing(record["taken"], self.round_to)]
        notes.write(io.output, [*remarks, *time_budget.remarks(record["sensitivity"])])

    def _prune(self, model: Checkpoint, io: StepIO) -> dict[str, Any]:
        """What became of each layer, as plain data for the record."""
        module = model.module
        keep = layers.named(module, self.keep, "prune_channels.keep")
        inventory = now = channels.inventory(module, model.example(), keep, self.round_to)
        scores = units.scored(inventory.units, self._importance(module, io))
        unscored = self._unscored(inventory, scores)
        able = [one for one in inventory.units if one.name in scores and not one.fixed]
        scan = self._scan(model, io, inventory, able, scores) if self.budget is not None else None
        ratios = scan["ratios"] if scan else {one.name: self._ratio(one) for one in able}
        counts = {one.name: len(one.members) for one in able}
        left = {one.name: [one.size, one.size] for one in inventory.units}
        broken: dict[str, str] = {}

        def cut(share: float) -> None:
            nonlocal now
            fresh = units.scored(now.units, self._importance(module, io))
            may_go = (fresh.keys() & ratios.keys()) - broken.keys()
            still = [one for one in now.units if one.name in may_go and not one.fixed]
            stays = self._stays(still, fresh, share, ratios, counts)
            chosen = units.least(still, fresh, stays)
            broken.update(_breaking(model, now, chosen))
            now = now.remove(module, [(one, gone) for one, gone in chosen if one.name not in broken])
            went = [one for one in still if one.name not in broken]
            left.update({one.name: [_size(one, stays[one.name]), left[one.name][1]] for one in went})

        self.schedule.carry_out(model, io, cut, self.seed)
        inventory = replace(inventory, unfollowed={**inventory.unfollowed, **broken})
        if all(stay == size for stay, size in left.values()):
            self._refuse_nothing(inventory)
        taken = self._taken(able, ratios, left)
        whole, unfollowed = dict(inventory.whole) | unscored, dict(inventory.unfollowed)
        return {"left": left, "taken": taken, "whole": whole, "unfollowed": unfollowed, "sensitivity": scan}

    def _importance(self, module: nn.Module, io: StepIO) -> importance.Importance:
        def examples() -> Split:
            return dataset.calibration(io.path("data"), self.examples, self.seed)

        def loss() -> losses.Loss:
            return losses.supervised(dataset.heads(io.path("data")))

        subject = importance.Subject(module, examples, loss, self.norm, self.seed)
        return importance.criterion(self.criterion, subject)

    def _unscored(self, inventory: Inventory, scores: Mapping[str, Tensor]) -> dict[str, str]:
        """Units that the criterion says nothing about, and that it does not; UsageError when that is all of them."""
        silent = [one.name for one in inventory.units if one.name not in scores]
        if silent and not scores:
            message = f"criterion {self.criterion!r} says nothing about any layer ({', '.join(silent)})"
            raise UsageError(message, option="criterion", hint="take another criterion")
        return dict.fromkeys(silent, f"criterion {self.criterion!r} says nothing about it")

    def _ratio(self, one: Units) -> float:
        return self.heads if one.noun == "heads" and self.heads is not None else self.ratio

    def _stays(
        self,
        candidates: Sequence[Units],
        scores: Mapping[str, Tensor],
        share: float,
        ratios: Mapping[str, float],
        counts: Mapping[str, int],
    ) -> dict[str, int]:
        """How many units are left when so much is gone of what will go in the end; never more than there are."""
        targets = shares.shares(candidates, {name: share * ratio for name, ratio in ratios.items()}, counts)
        if self.scope == "global":
            targets = shares.competing(candidates, scores, targets)
        return shares.rounded(candidates, targets, up=share < 1)

    def _scan(
        self, model: Checkpoint, io: StepIO, inventory: Inventory, able: Sequence[Units], scores: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        """The sensitivity of each unit and the ratios chosen from it, as plain data."""
        assert self.budget is not None
        counts = {one.name: len(one.members) for one in able}
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(ratios: Mapping[str, float]) -> sensitivity.Quality:
            tried = copy.deepcopy(model.module)
            stays = self._stays(able, scores, 1, dict.fromkeys(counts, 0.0) | dict(ratios), counts)
            inventory.remove(tried, units.least(able, scores, stays))
            return sensitivity.measure(tried.eval(), data, heads)

        if not isinstance(self.budget, TimeBudget):
            return sensitivity.chosen([*counts], self.budget, trial, heads)
        clock = time_budget.clock(model.module, model.example(), able, curves(io))
        scan = time_budget.chosen(able, self.budget, clock, time_budget.scanned(able, trial, io.progress))
        return scan | {"together": trial(scan["ratios"]).recorded()}

    def _refuse_nothing(self, inventory: Inventory) -> None:
        """UsageError with what was in the way."""
        if inventory.unfollowed and not [
            one for one in inventory.units if not one.fixed and one.name not in inventory.unfollowed
        ]:
            message = "; ".join(channels.remarks(inventory.unfollowed))
            raise UsageError(f"nothing can be removed: {message}", hint="leave the step out, or take prune_weights")
        message = f"no channel can be removed at ratio {self.ratio} with round_to {self.round_to}"
        raise UsageError(message, hint="raise the ratio, or lower round_to")

    def _taken(
        self, able: Sequence[Units], ratios: Mapping[str, float], left: Mapping[str, Sequence[int]]
    ) -> dict[str, dict[str, float]]:
        """Of channels and of heads that could go, the share that was asked for and that which went."""
        by_noun = {}
        for noun in sorted({one.noun for one in able}):
            alike = [one for one in able if one.noun == noun]
            every = sum(one.size for one in alike)
            ratio = sum(one.size * ratios[one.name] for one in alike) / every
            by_noun[noun] = {"asked": ratio, "taken": 1 - sum(left[one.name][0] for one in alike) / every}
        return by_noun


def _breaking(model: Checkpoint, inventory: Inventory, chosen: Sequence[Chosen]) -> dict[str, str]:
    """The units whose least channels cannot go, as no trial of others has shown, and why: they stay."""
    from edgebuild.nn.prune import proof

    names = {units.group: units.name for units, _ in chosen}
    gone = [(units.group, numbers) for units, numbers in chosen]
    faults = proof.broken(model.module, model.example(), inventory.proven, gone)
    return {names[group]: why for group, why in faults.items()}


def _differing(taken: Mapping[str, Mapping[str, float]], round_to: int) -> list[str]:
    """A remark where multiples keep the step from taking what was asked for."""
    return [
        f"asked for {share['asked']:.1%} of the {noun}, took {share['taken']:.1%}: counts are multiples of "
        f"{round_to if noun == 'channels' else 1}"
        for noun, share in taken.items()
        if abs(share["asked"] - share["taken"]) >= _NOTICEABLE
    ]


def _size(one: Units, stay: int) -> int:
    """The channels (or heads) of so many units."""
    return stay * one.size // len(one.members)
