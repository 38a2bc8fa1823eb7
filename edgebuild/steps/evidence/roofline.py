"""An estimate of time from peak rates, for targets that can be neither reached nor emulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.target import Roofline as Rates


@dataclass(frozen=True, slots=True)
class Roofline(Step):
    """t = max(2·MACs / peak, bytes of weights / bandwidth), Williams, Waterman & Patterson 2009.

    A lower bound that no real device reaches: it ranks, and it never passes a gate on time.
    """

    rates: Rates
    formats: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` from the footprints."""
        footprints = {
            name: documents.read(evidence.Footprint, item.path / evidence.FILE)
            for name, item in io.roles("footprint").items()
        }
        first = self.seconds(footprints[self.formats[0]].candidate)
        formats = {name: self._estimated(footprint, first) for name, footprint in footprints.items()}
        documents.write(io.output / evidence.FILE, evidence.Latencies(formats))

    def _estimated(self, footprint: evidence.Footprint, first: float) -> evidence.Estimated:
        ours, theirs = self.seconds(footprint.candidate), self.seconds(footprint.baseline)
        return evidence.Estimated("estimated", "roofline", (ours,), (theirs,), ours / first, self.rates.source)

    def seconds(self, weight: evidence.Weight) -> float:
        """The bound for one inference, in seconds."""
        return max(2 * weight.macs / self.rates.peak, weight.bytes / self.rates.bandwidth)
