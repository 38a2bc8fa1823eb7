"""Removes whole channels and attention heads, so that what is left is a smaller dense model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import channels, checkpoint, importance, layers, records, sensitivity, training
from edgebuild.nn.channels import Inventory, Units
from edgebuild.nn.schedule import Schedule
from edgebuild.nn.slimming import Slimming
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import EdgebuildError, UsageError, exhausted
from edgebuild.spec.fields import Seed
from edgebuild.spec.units import Share

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.spec.dataset import Split


@dataclass(frozen=True, slots=True)
class PruneChannels:
    """Each dependency group loses `ratio` of its channels, the least important (DepGraph, Fang et al., CVPR 2023).

    Attention loses whole heads, `heads` of them or `ratio` as well. `scope` "global" lets all groups compete, and
    `budget` chooses ratios by a sensitivity scan (Li et al. 2017). What is left is rounded down to a multiple of
    `round_to`, which defaults to the target's `channel_multiple`; layers with no more channels than that stay whole, as
    do the layers that make the outputs and those named in `keep`. Criteria and their sources are in `nn/importance.py`.
    Accuracy falls to chance: fine-tune afterwards, or by the schedule.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    norm: Literal[1, 2] = 2
    round_to: Annotated[int, Ge(1)] = field(default=8, metadata={"from_hardware": "channel_multiple"})
    keep: tuple[str, ...] = ()
    criterion: importance.Name = "magnitude"
    scope: Annotated[Literal["layer", "global"], Field(description="where channels compete to stay")] = "layer"
    heads: Annotated[float | None, Field(ge=0, lt=1, description="share of attention heads that go")] = None
    budget: Annotated[Share | None, Field(description="accuracy that the whole may lose before fine-tuning")] = None
    schedule: Schedule = field(default_factory=Schedule)
    slimming: Annotated[Slimming | None, Field(description="sparsity training, for batch_norm")] = None
    examples: Annotated[
        int, Field(ge=2, description="training examples for criteria, validation examples for the scan")
    ] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    gentler: ClassVar[str] = "a lower `ratio` or a `budget`"
    stronger: ClassVar[str] = "a higher `ratio`"

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

    def run(self, io: StepIO) -> None:
        """Prune, fine-tune where the schedule says so, and save; `record.json` says what became of each layer.

        UsageError when nothing, or a whole layer, would be removed, and for models whose channels cannot be traced.
        """
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        if self.slimming is not None:
            self.slimming.carry_out(model, io, self.seed)
        try:
            record = self._prune(model, io)
        except EdgebuildError:
            raise
        except Exception as error:  # models whose dependencies cannot be traced fail in many ways
            if exhausted(error):
                raise
            reason = f"the model's channels cannot be pruned: {type(error).__name__}: {error}"
            raise UsageError(reason, key="prune_channels", hint="leave the step out, or name layers in keep") from None
        checkpoint.save(model, io.output)
        records.write(io.output, record)

    def _prune(self, model: Checkpoint, io: StepIO) -> dict[str, Any]:
        """What became of each layer, as plain data for the record."""
        module, before = model.module, _parameters(model.module)
        found = self._inventory(model, module)
        counts = {units.name: len(units.members) for units in found.units}
        unscored = self._unscored(found, channels.scores(found, self._importance(module, io)))
        scan = self._scan(model, io) if self.budget is not None else None
        ratios = scan["ratios"] if scan else {units.name: self._ratio(units) for units in found.units}
        if not scan:
            self._refuse_whole_layers(found, ratios)

        def cut(share: float) -> None:
            now = self._inventory(model, module)
            scores = channels.scores(now, self._importance(module, io))
            channels.cut(now, scores, self._stays(now, scores, share, ratios, counts))
            module(*model.example())

        self.schedule.carry_out(model, io, cut, self.seed)
        if _parameters(module) == before:
            told = f"no channel can be removed at ratio {self.ratio} with round_to {self.round_to}"
            raise UsageError(told, key="prune_channels", hint="raise the ratio, or lower round_to")
        after = {units.name: units.size for units in self._inventory(model, module).units}
        left = {u.name: [after.get(u.name, 1), u.size] for u in found.units}  # a last head is no longer listed
        return {"left": left, "whole": dict(found.whole) | unscored, "sensitivity": scan}

    def _inventory(self, model: Checkpoint, module: nn.Module) -> Inventory:
        keep = layers.named(module, self.keep, "prune_channels.keep")
        return channels.inventory(module.requires_grad_(True), model.example(), keep, self.round_to)

    def _importance(self, module: nn.Module, io: StepIO) -> importance.Importance:
        def examples() -> Split:
            return dataset.calibration(io.path("data"), self.examples, self.seed)

        def loss() -> training.Loss:
            return training.supervised(dataset.task(io.path("data")))

        subject = importance.Subject(module, examples, loss, self.norm, self.seed)
        return importance.criterion(self.criterion, subject)

    def _unscored(self, found: Inventory, scores: Mapping[str, Tensor]) -> dict[str, str]:
        """Units that the criterion says nothing about, and that it does not; UsageError when that is all of them."""
        silent = [units.name for units in found.units if units.name not in scores]
        if silent and not scores:
            told = f"criterion {self.criterion!r} says nothing about any layer ({', '.join(silent)})"
            raise UsageError(told, key="prune_channels.criterion", hint="take another criterion")
        return dict.fromkeys(silent, f"criterion {self.criterion!r} says nothing about it")

    def _ratio(self, units: Units) -> float:
        return self.heads if units.noun == "heads" and self.heads is not None else self.ratio

    def _stays(
        self,
        found: Inventory,
        scores: Mapping[str, Tensor],
        share: float,
        ratios: Mapping[str, float],
        counts: Mapping[str, int],
    ) -> dict[str, int]:
        """How many units are left when so much is gone of what will go in the end."""
        parts = {name: share * ratio for name, ratio in ratios.items()}
        if self.scope == "global":
            return channels.together(found, scores, parts, counts)
        return {
            units.name: max(units.left(parts[units.name], counts[units.name]), units.multiple)
            for units in found.units
            if units.name in scores and not units.fixed
        }

    def _scan(self, model: Checkpoint, io: StepIO) -> dict[str, Any]:
        """The sensitivity of each unit and the ratios chosen from it, as plain data."""
        assert self.budget is not None
        found = self._inventory(model, model.module)
        scores = channels.scores(found, self._importance(model.module, io))
        counts = {units.name: len(units.members) for units in found.units}
        data = dataset.validation(io.path("data"), self.examples, self.seed)

        def trial(ratios: Mapping[str, float]) -> sensitivity.Quality:
            tried = copy.deepcopy(model.module)
            now = self._inventory(model, tried)
            chosen = dict.fromkeys(counts, 0.0) | dict(ratios)
            channels.cut(now, scores, self._stays(now, scores, 1, chosen, counts))
            return sensitivity.measure(tried.eval(), data)

        names = [units.name for units in found.units if units.name in scores and not units.fixed]
        return sensitivity.chosen(names, self.budget, trial, dataset.task(io.path("data")))

    def _refuse_whole_layers(self, found: Inventory, ratios: Mapping[str, float]) -> None:
        for units in found.units:
            if self.scope == "layer" and not units.fixed and units.left(ratios[units.name]) < units.multiple:
                rounded = f" with round_to {self.round_to}" if units.noun == "channels" else ""
                told = f"ratio {ratios[units.name]}{rounded} would remove all {units.size} {units.noun}"
                hint = "lower the ratio or round_to, or name the layer in keep"
                raise UsageError(f"{told} of {units.name!r}", key="prune_channels", hint=hint)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
