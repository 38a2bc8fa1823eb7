"""What each part of an assembly weighs, takes and how often it runs: the mean time of the whole, and the worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted, Footprint, Joined, JoinedPart, JoinedTimes, PartRuns, PartTimes
from edgebuild.spec.target import Fidelity
from edgebuild.steps.assemblies._parts import read_all, read_rule, read_runs
from edgebuild.steps.evidence._deployed import TIMES


@dataclass(frozen=True, slots=True)
class JoinedParts(Step):
    """Inputs: the `rule`, `runs` (the whole's outputs), `footprint/<part>` or, `built`, what a build told of the parts,
    and where there is any `count/<part>` or `times`, the timing of all parts. `model` and `clock` make seconds of what
    was counted.
    """

    parts: tuple[str, ...]
    format: str
    model: TimeModel | None = None
    clock: float | None = None
    threads: int = 1

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("rule", "runs")
    deterministic: ClassVar[Determinism] = "same-cpu"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        from edgebuild.devices.timing import predicted

        runs, seconds = read_runs(io), list[float]()
        fidelity: Fidelity | None = None
        if self.model is not None and self.clock is not None:
            counted = read_all(Counted, io, "count", self.parts)
            seconds = [predicted.seconds(each, self.model, self.clock, self.threads) for each in counted]
            fidelity = "emulated"
        elif "times" in io.inputs:
            times = documents.read(PartTimes, io.path("times") / TIMES)
            seconds, fidelity = [times.formats[self.format][part] for part in self.parts], times.fidelity
        weights = self._weights(io)
        parts = tuple(
            JoinedPart(part, weights[place], seconds[place] if seconds else None, runs[part])
            for place, part in enumerate(self.parts)
        )
        times_of = _times(fidelity, seconds, [runs[part] for part in self.parts]) if seconds and fidelity else None
        documents.write(io.output / evidence.FILE, Joined(read_rule(io), parts, times_of))

    def _weights(self, io: StepIO) -> list[int]:
        if "built" in io.inputs:
            built = {part.name: part.bytes for part in documents.read(Joined, io.path("built") / evidence.FILE).parts}
            return [built[part] for part in self.parts]
        return [each.candidate.bytes for each in read_all(Footprint, io, "footprint", self.parts)]


def _times(fidelity: Fidelity, seconds: list[float], runs: list[PartRuns]) -> JoinedTimes:
    """The mean is linear in the shares, so its ends are those of theirs; in the worst case every part runs."""
    shares = [each.share for each in runs]
    mean, low, high = (
        sum(each * share for each, share in zip(seconds, of, strict=True))
        for of in ([s.accuracy for s in shares], [s.low for s in shares], [s.high for s in shares])
    )
    return JoinedTimes(fidelity, mean, low, high, sum(seconds))
