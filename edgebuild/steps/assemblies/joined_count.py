"""The work of one inference of an assembly: each part's counted work, as often as the part runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import CacheWork, Counted
from edgebuild.steps.assemblies._parts import read_all, read_runs


@dataclass(frozen=True, slots=True)
class JoinedCount(Step):
    """Inputs: `count/<part>` and `runs`, the whole's outputs on the test examples.

    A gate on the mean must hold however often parts really run, so the upper end of the share's interval counts.
    """

    parts: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("runs",)
    deterministic: ClassVar[Determinism] = "same-cpu"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`, a `Counted` of the mean inference."""
        runs = read_runs(io)
        counted = read_all(Counted, io, "count", self.parts)
        documents.write(io.output / evidence.FILE, mean(counted, [runs[part].share.high for part in self.parts]))


def mean(counted: list[Counted], shares: list[float]) -> Counted:
    """The work of all parts together, each as often as its share says."""
    pairs = list(zip(counted, shares, strict=True))

    def total(of: Callable[[Counted], float]) -> float:
        return sum(of(each) * share for each, share in pairs)

    names = dict.fromkeys(name for each in counted for name in each.classes)
    levels = dict.fromkeys(name for each in counted for name in each.caches)
    nothing = CacheWork(0, 0)
    instructions = total(lambda each: each.instructions)
    return Counted(
        instructions=round(instructions),
        classes={name: round(total(lambda each, name=name: each.classes.get(name, 0))) for name in names},  # type: ignore[misc]
        caches={
            name: CacheWork(
                round(total(lambda each, name=name: each.caches.get(name, nothing).accesses)),  # type: ignore[misc]
                round(total(lambda each, name=name: each.caches.get(name, nothing).misses)),  # type: ignore[misc]
            )
            for name in levels
        },
        cycles=total(lambda each: each.cycles),
        covered=total(lambda each: each.covered * each.instructions) / instructions,
        operators=total(lambda each: each.operators),
    )
