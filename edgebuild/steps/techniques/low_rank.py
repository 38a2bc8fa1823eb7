"""Splits convolutions and matrices into factors of lower rank, where that takes fewer multiplications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.restructure import ranks, sites
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.target import Hardware
from edgebuild.spec.technique import Technique
from edgebuild.spec.units import Share
from edgebuild.steps import _exchanges

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.checkpoint import Checkpoint

    Layers = Mapping[str, tuple[Any, tuple[int, int]]]
    Ranks = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class LowRank(Technique):
    """Matrices become two factors (SVD, Denton et al. 2014), kernels three layers (Tucker-2, Kim et al. 2016).

    Ranks are the least that keep `energy`, a share of the squared singular values, or with `budget` those that cost no
    more accuracy on validation examples, chosen layer by layer as `prune_channels` does. They are multiples of
    `round_to`, which defaults to the target's `channel_multiple`. A layer that would take more multiplications stays
    whole. Fine-tune afterwards: `distill`.
    """

    energy: Annotated[float, Field(gt=0, le=1, description="share of squared singular values that is kept")] = 0.9
    budget: Annotated[Share | None, Field(description="accuracy that may be lost before fine-tuning")] = None
    round_to: Annotated[int, Ge(1)] = 8
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Field(ge=2, description="validation examples for the budget")] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "a higher `energy` or a `budget`"
    stronger: ClassVar[str] = "a lower `energy`"

    @classmethod
    def from_hardware(cls, hardware: Hardware) -> Mapping[str, Any]:
        """Ranks that its kernels like, for they are channels."""
        return {"round_to": hardware.channel_multiple}

    def uses(self) -> tuple[str, ...]:
        """Data only for a budget."""
        return ("model", "data") if self.budget is not None else ("model",)

    def run(self, io: StepIO) -> None:
        """Split and save; the record has ranks and multiplications. UsageError where no layer would take fewer."""
        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "low_rank.keep")
        able, stuck = self._able(model, keep)
        scan = self._scan(model, able, io) if self.budget is not None else None
        chosen = self._chosen(able, scan)
        counts = {name: ranks.macs(layer, chosen[name], places) for name, (layer, places) in able.items()}
        paying = {name: chosen[name] for name, (before, after) in counts.items() if after < before}
        if not paying:
            self._refuse(counts)
        module, added = ranks.split(model.module, paying)
        split = replace(model, module=module, swaps=(*model.swaps, *added))
        before, after = (sites.total(one, model.example()) for one in (model.module, module))
        checkpoint.save(split, io.output)
        whole = {name: _why(*counts[name]) for name in able if name not in paying}
        record = {"ranks": {name: list(of) for name, of in paying.items()}, "whole": whole, "sensitivity": scan}
        records.write(io.output, record | {"macs": [before, after]})
        notes.write(io.output, [_told(len(paying), len(able), before, after), *stuck])

    def _able(self, model: Checkpoint, keep: Sequence[nn.Module]) -> tuple[Layers, list[str]]:
        """The layers that the model's code lets be split, and a line for each other one."""
        module, example = model.module, model.example()
        able = ranks.able(module, example, keep)
        return _exchanges.exchangeable(module, example, able, lambda name: ranks.least(name, able[name][0]))

    def _chosen(self, able: Layers, scan: Mapping[str, Any] | None) -> Ranks:
        if scan is None:
            return {name: ranks.by_energy(layer, self.energy, self.round_to) for name, (layer, _) in able.items()}
        ratios = scan["ratios"]
        return {name: ranks.by_share(layer, 1 - ratios[name], self.round_to) for name, (layer, _) in able.items()}

    def _scan(self, model: Checkpoint, able: Layers, io: StepIO) -> dict[str, Any]:
        """The sensitivity of each layer to a share of its ranks gone, and the shares chosen from it."""
        assert self.budget is not None
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(ratios: Mapping[str, float]) -> sensitivity.Quality:
            gone = {name: ratio for name, ratio in ratios.items() if ratio}
            tried = {name: ranks.by_share(able[name][0], 1 - ratio, self.round_to) for name, ratio in gone.items()}
            return sensitivity.measure(ranks.split(model.module, tried)[0].eval(), data, heads)

        return sensitivity.chosen([*able], self.budget, trial, heads)

    def _refuse(self, counts: Mapping[str, tuple[int, int]]) -> None:
        limit = f"energy {self.energy:g}" if self.budget is None else "this budget"
        reasons = (
            "; ".join(f"{name}: {_why(*pair)}" for name, pair in [*counts.items()][:3]) or "it has no layers to split"
        )
        reason = f"no layer would take fewer multiplications at {limit} with round_to {self.round_to} ({reasons})"
        raise UsageError(reason, hint="lower the energy or round_to, or leave the step out: it does not pay here")


def _why(before: int, after: int) -> str:
    return f"{after:,} multiplications in the place of {before:,}"


def _told(count: int, able: int, before: int, after: int) -> str:
    return f"{count} of {able} layers are split: {_why(before, after)} ({after / before:.0%})"
