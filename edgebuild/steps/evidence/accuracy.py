"""How many held-out examples the candidate and its float baseline get right, example by example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.gates.statistics import clustered, paired
from edgebuild.spec import dataset, documents, drawing, evidence
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence._outputs import hits, origin, read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask

    Masks = Mapping[str, Mask]


@dataclass(frozen=True, slots=True)
class Accuracy(Step):
    """Which answers of the exported files are right, head by head; `hits.npz` keeps the examples, by file and head.

    `heads` are those whose answers are choices; of a classification they name the classes. The drops of classes and
    slices are told with bounds that hold for all at once.
    """

    heads: tuple[Head, ...] = (Head(evidence.ONLY, "classification"),)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` and `hits.npz`.

        With `device`, the outputs of examples that ran there, and `agreement`, how they compare with this machine's:
        its own answers count for those, and the host's for the others. How far the two may differ on these is up to
        the gate.
        """
        import numpy as np

        known = dataset.heads(io.path("data"))
        labels = dict(zip((head.name for head in known), dataset.read(io.path("data"), "test").labels, strict=True))
        files = {role: read(io.path(role)) for role in ("candidate", "baseline")}
        source, device, agreement = io.path("candidate"), None, None
        if "device" in io.inputs:
            source = io.path("device")
            device = read(source)
            agreement = documents.read(evidence.Agreement, io.path("agreement") / evidence.FILE)
        kept: dict[str, Mask] = {}
        answers = {}
        for head in self.heads:
            own, there = labels[head.name], None
            right = {role: hits(head, outputs, own) for role, outputs in files.items()}
            if device is not None:
                there = hits(head, device, own[drawing.chosen(len(own), len(device[0]))])
            parts = _classes(head, own), dataset.slices(io.path("data"))
            answers[head.name] = counted(right, *parts, there, dataset.together(io.path("data"), "test"))
            right["candidate"] = with_device(right["candidate"], there)
            kept |= {evidence.hits_key(role, head.name, len(self.heads)): values for role, values in right.items()}
        documents.write(io.output / evidence.FILE, evidence.Accuracy(origin(source), answers, agreement))
        np.savez(io.output / "hits.npz", **kept)  # type: ignore[arg-type]


def _classes(head: Head, labels: Array) -> dict[str, Mask]:
    """Which examples are of each class, by the class's name; classes without examples are left out."""
    import numpy as np

    if labels.ndim != 1 or labels.dtype.kind != "i":
        return {}
    masks = {}
    for number in np.unique(labels).tolist():
        name = head.labels[number] if head.labels else str(number)
        masks[f"{name} ({number})" if head.labels.count(name) > 1 else name] = labels == number
    return masks


def counted(
    right: Masks, classes: Masks, slices: Masks, there: Mask | None = None, groups: Array | None = None
) -> evidence.Answers:
    """Right answers of both, [N] bool by role, the pairs that they make, and those of each class and slice.

    `there`: which of the first examples that are drawn a device gets right, [n] bool. These replace the host's.
    `groups`: what examples have in common, [N], where they are not independent.
    """
    import numpy as np

    here, baseline, overlap = right["candidate"], right["baseline"], None
    ran = np.ones(len(here), bool)
    if there is not None:
        rows = drawing.chosen(len(here), len(there))
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
        classes=_groups(classes, candidate, baseline, ran, groups),
        slices=_groups(slices, candidate, baseline, ran, groups),
        device=overlap,
        together=None if groups is None else clustered.clusters(candidate, baseline, groups),
    )


def with_device(here: Mask, there: Mask | None) -> Mask:
    """Which examples [N] bool the host gets right, with a device's own in the place of those that ran there."""
    hits = here.copy()
    if there is not None:
        hits[drawing.chosen(len(here), len(there))] = there
    return hits


def _rate(hits: Mask) -> evidence.Rate:
    return evidence.Rate(*paired.wilson(int(hits.sum()), int(hits.size)))


def _groups(
    masks: Masks, candidate: Mask, baseline: Mask, ran: Mask, groups: Array | None
) -> dict[str, evidence.Group]:
    """Counts and drop of each group, its one-sided bounds at 1 − 0.05 / groups: all hold at once (Bonferroni).

    `unrun` are the examples that did not run on the device, where one is to answer.
    """
    parts = {}
    for name, mask in masks.items():
        pairs, confidence = paired.count_pairs(candidate[mask], baseline[mask]), 1 - 0.05 / len(masks)
        own = None if groups is None else clustered.clusters(candidate[mask], baseline[mask], groups[mask])
        bound = clustered.drop_bound(pairs.lost, pairs.won, pairs.n, confidence, own)
        unrun = int((mask & ~ran).sum())
        parts[name] = evidence.Group(pairs.n, pairs.lost, pairs.won, unrun, *bound, confidence, own)
    return parts
