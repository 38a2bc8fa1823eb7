"""How many held-out examples the candidate and its float baseline get right, example by example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics import paired
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.steps.evidence.parity import first_output, origin

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array, Mask

    Masks = Mapping[str, Mask]


@dataclass(frozen=True, slots=True)
class Accuracy(Step):
    """Top-1 of the exported files' own outputs; `hits.npz` keeps which examples each got right.

    `labels` names the classes. The drops of classes and slices are told with bounds that hold for all at once.
    """

    labels: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` and `hits.npz`.

        With `device`, the outputs of examples that ran there, and `agreement`, how they compare with this machine's:
        its own answers count for those, and the host's for the others. How far the two may differ on these is up to
        the gate.
        """
        import numpy as np

        labels = dataset.read(io.path("data"), "test").labels[0]
        hits = {role: read_hits(io.path(role), labels) for role in ("candidate", "baseline")}
        source, agreement, there = io.path("candidate"), None, None
        if "device" in io.inputs:
            source = io.path("device")
            values = first_output(source)
            there = values.argmax(1) == labels[dataset.chosen(len(labels), len(values))]
            agreement = documents.read(evidence.Agreement, io.path("agreement") / evidence.FILE)
        answers = counted(hits, self._classes(labels), dataset.slices(io.path("data")), there)
        accuracy = evidence.Accuracy(origin(source), {evidence.ONLY: answers}, agreement)
        documents.write(io.output / evidence.FILE, accuracy)
        kept = hits | {"candidate": with_device(hits["candidate"], there)}
        np.savez(io.output / "hits.npz", **kept)  # type: ignore[arg-type]

    def _classes(self, labels: Array) -> dict[str, Mask]:
        """Which examples are of each class, by the class's name; classes without examples are left out."""
        import numpy as np

        masks = {}
        for number in np.unique(labels).tolist():
            name = self.labels[number] if self.labels else str(number)
            masks[f"{name} ({number})" if self.labels.count(name) > 1 else name] = labels == number
        return masks


def counted(hits: Masks, classes: Masks, slices: Masks, there: Mask | None = None) -> evidence.Answers:
    """Right answers of both, [N] bool by role, the pairs that they make, and those of each class and slice.

    `there`: which of the first examples that are drawn a device gets right, [n] bool. These replace the host's.
    """
    import numpy as np

    here, baseline, overlap = hits["candidate"], hits["baseline"], None
    ran = np.ones(len(here), bool)
    if there is not None:
        rows = dataset.chosen(len(here), len(there))
        differ = paired.count_pairs(there, here[rows])
        overlap = evidence.Overlap(differ.n, len(here), differ.lost, differ.won)
        ran[:] = False
        ran[rows] = True
    candidate = with_device(here, there)
    pairs = paired.count_pairs(candidate, baseline)
    return evidence.Answers(
        n=pairs.n,
        lost=pairs.lost,
        won=pairs.won,
        candidate=_rate(candidate),
        baseline=_rate(baseline),
        classes=_groups(classes, candidate, baseline, ran),
        slices=_groups(slices, candidate, baseline, ran),
        device=overlap,
    )


def with_device(here: Mask, there: Mask | None) -> Mask:
    """Which examples [N] bool the host gets right, with a device's own in the place of those that ran there."""
    hits = here.copy()
    if there is not None:
        hits[dataset.chosen(len(here), len(there))] = there
    return hits


def read_hits(folder: Path, labels: Array) -> Mask:
    """Which examples [N] the outputs in a folder get right; StepError for outputs that cannot be compared."""
    outputs = first_output(folder)
    if outputs.ndim != 2 or len(outputs) != len(labels):
        raise StepError(f"outputs of shape {list(outputs.shape)} cannot be compared with {len(labels)} labels")
    hits: Mask = outputs.argmax(1) == labels
    return hits


def _rate(hits: Mask) -> evidence.Rate:
    return evidence.Rate(*paired.wilson(int(hits.sum()), int(hits.size)))


def _groups(masks: Masks, candidate: Mask, baseline: Mask, ran: Mask) -> dict[str, evidence.Group]:
    """Counts and drop of each group, its one-sided bounds at 1 − 0.05 / groups: all hold at once (Bonferroni).

    `unrun` are the examples that did not run on the device, where one is to answer.
    """
    groups = {}
    for name, mask in masks.items():
        pairs, confidence = paired.count_pairs(candidate[mask], baseline[mask]), 1 - 0.05 / len(masks)
        bound = paired.drop_bound(pairs.lost, pairs.won, pairs.n, confidence)
        unrun = int((mask & ~ran).sum())
        groups[name] = evidence.Group(pairs.n, pairs.lost, pairs.won, unrun, *bound, confidence)
    return groups
