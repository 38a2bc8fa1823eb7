"""What each technique of a recipe changed: bytes, operations, counted work, predicted time, right answers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics import clustered, paired, ratio
from edgebuild.spec import compressors, dataset, documents, evidence, tasks
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted, Drop, Footprint, Proved, SharedWork, StageTimes, State, Validation
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence._outputs import hits, of_head, read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

# A smaller change is neither gain nor cost: retrained weights compress a little better or worse by chance.
_NOTICEABLE = {"bytes": 0.01, "compressed": 0.03, "seconds": 0.01}


@dataclass(frozen=True, slots=True)
class Proof(Step):
    """Inputs by state, 0 the float model and k what the k-th of `stages` made: `made/<k>`, `footprint/<k>`,
    `outputs/<k>` on the validation examples and, where the target's work can be counted, `count/<k>` and, with the
    state before, `shared/<k>`; and the data. Where the target is timed, `times` has those of the distinct files, of
    which `files[k]` is the one of state k.

    A gain is believed at once, a cost only when it is proved: what a build may leave out must have cost something and
    bought nothing. So time is a cost only beyond the band of the time model, and accuracy only when Tango's bound is
    above zero.
    """

    stages: tuple[str, ...]
    files: tuple[int, ...] = ()
    model: TimeModel | None = None
    clock: float | None = None
    threads: int = 1

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    versions: ClassVar[Callable[[], dict[str, str]]] = staticmethod(compressors.versions)

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: for each technique before and after, what it bought, what it cost."""
        heads, known = dataset.heads(io.path("data")), dataset.read(io.path("data"), "validation")
        alike = dataset.together(io.path("data"), "validation")
        answers = [read(io.path(f"outputs/{number}")) for number in range(len(self.stages) + 1)]
        times = documents.read(StageTimes, io.path("times") / evidence.FILE) if "times" in io.inputs else None
        states = [self._state(io, number, times) for number in range(len(answers))]
        steps = []
        for number, name in enumerate(self.stages):
            before, after = states[number], states[number + 1]
            drops = {
                head.name: _drop(
                    head, tasks.of(head).targets(own, known.inputs), answers[number], answers[number + 1], alike
                )
                for head, own in zip(heads, known.labels, strict=True)
            }
            slower, band = self._slower(times, number), self._band(io, number + 1, before, after)
            steps.append(self.weigh(name, before, after, drops, slower, band))
        examples = Validation(len(known), dataset.is_cut(io.path("data")))
        proof = evidence.Proof(tuple(steps), {head.name: head.task for head in heads}, examples)
        documents.write(io.output / evidence.FILE, proof)

    def weigh(
        self,
        name: str,
        before: State,
        after: State,
        drops: Mapping[str, paired.Bound],
        slower: ratio.Shift | None = None,
        band: float | None = None,
    ) -> Proved:
        """What a step bought and cost, by name; `useless` when it cost something and bought nothing.

        `drops` is what the answers of each head lost (see `_drop`), with one-sided 95 % limits; `slower`, where time
        was measured, the log-ratio of after to before with its two-sided 90 % interval; `band`, where it is predicted,
        the most by which a ratio may be too large.
        """
        changes, limits = _changes(before, after), dict(_NOTICEABLE)
        if band is not None:
            limits["seconds"] = max(band, _NOTICEABLE["seconds"])
        if slower is not None:
            changes["seconds"] = math.expm1(slower.estimate)
            limits["seconds"] = _NOTICEABLE["seconds"] if slower.low > math.log1p(_NOTICEABLE["seconds"]) else math.inf
        gains = [name for name, change in changes.items() if change < -_NOTICEABLE[name]]
        costs = [name for name, change in changes.items() if change > limits[name]]
        if any(drop.high < 0 for drop in drops.values()):
            gains.append("accuracy")
        if any(drop.low > 0 for drop in drops.values()):
            costs.append("accuracy")
        useless = bool(costs) and not gains
        return Proved(
            name,
            before,
            after,
            {name: Drop(*drop) for name, drop in drops.items()},
            tuple(gains),
            tuple(costs),
            useless,
        )

    def _slower(self, times: StageTimes | None, number: int) -> ratio.Shift | None:
        """How much more time a stage takes than the one before; None for the same file, or a disturbed device."""
        if times is None or times.void:
            return None
        before, after = self.files[number], self.files[number + 1]
        return ratio.hodges_lehmann(times.log_ratios[before], confidence=0.9) if after == before + 1 else None

    def _band(self, io: StepIO, number: int, before: State, after: State) -> float | None:
        """By how much the predicted ratio of this state's time to that of the one before may be too large."""
        from edgebuild.devices.timing import predicted

        if self.model is None or before.seconds is None or after.seconds is None:
            return None
        shared = documents.read(SharedWork, io.path(f"shared/{number}") / evidence.FILE)
        return predicted.ratio_limits(self.model.ratio_band, after.seconds, before.seconds, shared)[1] - 1

    def _state(self, io: StepIO, number: int, times: StageTimes | None) -> State:
        """Sizes, work and time of one state; `compressed` shows what sparse or shared weights save in a download."""
        from edgebuild.devices.timing import predicted
        from edgebuild.nn import checkpoint

        weight = documents.read(Footprint, io.path(f"footprint/{number}") / evidence.FILE).candidate
        artifact = io.inputs[f"made/{number}"]
        file = FORMATS.get(artifact.kind).file if artifact.kind in FORMATS.names() else checkpoint.WEIGHTS
        coded = weight.download < weight.bytes
        compressed = weight.download if coded else len(zlib.compress((artifact.path / file).read_bytes()))
        sizes = weight.bytes, weight.parameters, weight.macs, compressed
        if self.model is not None and self.clock is not None:
            counted = documents.read(Counted, io.path(f"count/{number}") / evidence.FILE)
            seconds = predicted.seconds(counted, self.model, self.clock, self.threads)
            return State(*sizes, counted.instructions, seconds)
        return State(*sizes, seconds=times.seconds[self.files[number]] if times else None)


def _changes(before: State, after: State) -> dict[str, float]:
    """Relative changes of what a step is weighed by, as far as it is known."""
    changes = {"bytes": after.bytes / before.bytes - 1, "compressed": after.compressed / before.compressed - 1}
    if before.seconds is not None and after.seconds is not None:
        changes["seconds"] = after.seconds / before.seconds - 1
    return changes


def _drop(
    head: Head, labels: Array, before: Sequence[Array], after: Sequence[Array], alike: Array | None
) -> paired.Bound:
    """What the answers lost: share of right ones (Tango's bounds), or growth of the mean error (Student's t)."""
    if tasks.of(head).choice:
        right = hits(head, after, labels), hits(head, before, labels)
        pairs, own = paired.count_pairs(*right), None if alike is None else clustered.clusters(*right, alike)
        return clustered.drop_bound(pairs.lost, pairs.won, pairs.n, together=own)
    errors = [tasks.of(head).errors(of_head(head, outputs), labels) for outputs in (before, after)]
    return paired.mean_bound(errors[1] - errors[0])
