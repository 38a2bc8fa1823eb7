"""How much of their work two files share: equal operators on equal shapes, which run the same kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Input, Step, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.work import Work
from edgebuild.steps.evidence import _deployed

_ROLES = ("candidate", "baseline")


@dataclass(frozen=True, slots=True)
class Shared(Step):
    """Inputs: `candidate` and `baseline`, each a file of one format, or one for each part.

    Where either is an assembly nothing that both do can be told, since its parts run by chance: what nothing shares
    widens the band of a predicted ratio, and narrows no verdict.
    """

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "same-cpu"  # a runtime may fuse otherwise elsewhere

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        candidate, baseline = ([_work(item) for item in _deployed.files(io, role).values()] for role in _ROLES)
        if len(candidate) == len(baseline) == 1:
            shared = compare(candidate[0], baseline[0])
        else:
            shared = evidence.SharedWork(
                0.0, 0.0, evidence.Operators(0, *(sum(map(len, each)) for each in (candidate, baseline)))
            )
        documents.write(io.output / evidence.FILE, shared)


def _work(item: Input) -> Sequence[Work]:
    kind = FORMATS.get(item.kind)
    return kind().work((item.path / kind.file).read_bytes())


def compare(candidate: Sequence[Work], baseline: Sequence[Work]) -> evidence.SharedWork:
    """The share of each file's work that is in operators which the other has too, and how many these are.

    What an operator costs is some mix of its multiply-accumulates and of the bytes that it moves, p·macs + q·bytes with
    p, q ≥ 0 unknown; so the share of the cost lies between the shares of the two, and the smaller one is taken.
    """
    common = Counter(one.signature for one in candidate) & Counter(one.signature for one in baseline)
    operators = evidence.Operators(common.total(), len(candidate), len(baseline))
    return evidence.SharedWork(_share(candidate, Counter(common)), _share(baseline, Counter(common)), operators)


def _share(work: Sequence[Work], common: Counter[str]) -> float:
    macs, moved = [0, 0], [0, 0]  # of all operators, of those in common
    for one in work:
        both = common[one.signature] > 0
        common[one.signature] -= both
        for part in (0, 1) if both else (0,):
            macs[part] += one.macs
            moved[part] += one.bytes
    shares = [part / whole for whole, part in (macs, moved) if whole]
    return min(shares, default=0.0)
