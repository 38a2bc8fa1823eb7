"""Merges channels that do nearly the same, so that what the model computes is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import channels, merging
from edgebuild.nn.train import training
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.target import Hardware
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.nn.prune.merging import Pair
    from edgebuild.nn.prune.units import Units


@dataclass(frozen=True, slots=True)
class MergeChannels(Technique):
    """Of two channels with cosine(w_i, w_j) ≥ `threshold` one goes; its outgoing weights are added to the other's.

    Srinivas & Babu 2015. Channels of the same weights are merged without any change to the answers, so this may stand
    where nothing is trained afterwards. What is left is rounded up to a multiple of `round_to`, the most alike first.
    """

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    round_to: Annotated[int, Ge(1)] = 8
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Field(ge=1, description="training examples that show how strong merged channels are")] = (
        256
    )
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "a higher `threshold`"
    stronger: ClassVar[str] = "a lower `threshold`"

    @classmethod
    def from_hardware(cls, hardware: Hardware) -> Mapping[str, Any]:
        """Channel counts that its kernels like."""
        return {"round_to": hardware.channel_multiple}

    def run(self, io: StepIO) -> None:
        """Merge and save; the record names every pair. UsageError when no two channels are alike enough."""
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "merge_channels.keep")
        inventory = channels.inventory(model.module, model.example(), keep, 1)
        reasons = {units.name: why for units in inventory.units if (why := merging.why_not(model.module, units))}
        able = [units for units in inventory.units if units.name not in reasons]
        folds = inventory.proven.dependencies.traced.notes.folds
        signed = {units.name: merging.signatures(model.module, units, folds) for units in able}
        chosen = [(units, pairs) for units in able if (pairs := self._pairs(units, signed[units.name]))]
        if not chosen:
            self._refuse(signed, dict(inventory.unfollowed) | reasons)
        merging.merge(model.module, inventory, chosen, dataset.calibration(io.path("data"), self.examples, self.seed))
        checkpoint.save(model, io.output)
        merged = {units.name: [asdict(pair) for pair in pairs] for units, pairs in chosen}
        records.write(io.output, {"merged": merged, "whole": dict(inventory.whole) | reasons})
        notes.write(io.output, channels.remarks(inventory.unfollowed))

    def _pairs(self, units: Units, signature: Tensor) -> list[Pair]:
        """The pairs to merge: as many of the most alike as leave a multiple of `round_to`."""
        pairs = merging.alike(signature, self.threshold)
        least = len(units.members) - len(pairs)
        return pairs[: max(0, len(pairs) - -least % self.round_to)]

    def _refuse(self, signed: dict[str, Tensor], reasons: dict[str, Any]) -> None:
        if not signed:
            message = "; ".join(f"{name}: {why}" for name, why in reasons.items()) or "nothing can be taken from it"
            raise UsageError(f"the model has no channels to merge ({message})")
        cosine, name = max((merging.nearest(signature), name) for name, signature in signed.items())
        message = f"too few channels are alike to leave a multiple of {self.round_to}: the nearest two have cosine"
        hint = "lower the threshold or round_to, or leave the step out"
        raise UsageError(f"{message} {cosine:.3f}, in {name!r}", hint=hint)
