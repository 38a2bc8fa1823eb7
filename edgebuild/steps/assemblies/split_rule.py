"""What the router of a split model goes by: how long it waits, and the most bytes of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence, notes
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import RULE, Cuts, Rule

_ROOM = 1 << 12  # bytes beside what crosses: why there is no answer


@dataclass(frozen=True, slots=True)
class SplitRule(Step):
    """Input: the `cuts`. `seconds` is the longest wait for the other half."""

    seconds: float

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "rule"
    needs: ClassVar[tuple[str, ...]] = ("cuts",)
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `rule.json`."""
        cuts = documents.read(Cuts, io.path("cuts") / evidence.FILE)
        best, link = cuts.best, f"{cuts.link:.0f}"
        cut = f"cut at {best.tensor!r}: {best.bytes} bytes cross, {1000 * best.total[link]:.3g} ms at {link} bit/s"
        beside = f"all here {1000 * cuts.here:.3g} ms, all at the server {1000 * cuts.there[link]:.3g} ms"
        lines = (f"{cut}; {beside}",)
        rule = {"seconds": self.seconds, "bytes": float(max(best.bytes, cuts.answer_bytes) + _ROOM)}
        documents.write(io.output / RULE, Rule("split", rule, lines))
        notes.write(io.output, lines)
