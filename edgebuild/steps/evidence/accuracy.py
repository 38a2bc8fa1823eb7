"""How many held-out examples the candidate and its float baseline get right, example by example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates.statistics import paired
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.steps.evidence.parity import first_output

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array

    Masks = Mapping[str, Array]  # [N] bool by name


@dataclass(frozen=True, slots=True)
class Accuracy:
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

        With `device`, the outputs of examples that ran there: its own answers count for those, and the host's for the
        others. How far the two may differ on these is up to the gate.
        """
        import numpy as np

        labels = dataset.read(io.path("data"), "test").labels
        hits = {role: read_hits(io.path(role), labels) for role in ("candidate", "baseline")}
        origin, there = json.loads((io.path("candidate") / "origin.json").read_text()), None
        if "device" in io.inputs:
            there = first_output(io.path("device")).argmax(1) == labels[_ran(io.path("device"), labels)]
            origin = json.loads((io.path("device") / "origin.json").read_text())
        found = counted(hits, self._classes(labels), dataset.slices(io.path("data")), there)
        found["origin"] = origin
        if "agreement" in io.inputs:
            found["agreement"] |= json.loads((io.path("agreement") / "evidence.json").read_text())
        np.savez(io.output / "hits.npz", **hits)
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _classes(self, labels: Array) -> dict[str, Any]:
        """Which examples are of each class, by the class's name; classes without examples are left out."""
        import numpy as np

        masks = {}
        for number in np.unique(labels).tolist():
            name = self.labels[number] if self.labels else str(number)
            masks[f"{name} ({number})" if self.labels.count(name) > 1 else name] = labels == number
        return masks


def counted(hits: dict[str, Any], classes: Masks, slices: Masks, there: Any = None) -> dict[str, Any]:
    """Right answers of both, [N] bool by role, the pairs that they make, and those of each class and slice.

    `there`: which of the first examples that are drawn a device gets right, [n] bool. These replace the host's in
    `hits`, and `agreement` tells how many of them differ: `lost` are right here and wrong there, `won` the reverse.
    """
    import numpy as np

    agreement: dict[str, Any] = {}
    here = hits["candidate"]
    ran = np.ones(len(here), bool)
    if there is not None:
        rows = dataset.chosen(len(here), len(there))
        differ = paired.count_pairs(there, here[rows])
        agreement = {"agreement": {"n": differ.n, "of": len(here), "lost": differ.lost, "won": differ.won}}
        ran[:] = False
        ran[rows] = True
        hits["candidate"] = here.copy()
        hits["candidate"][rows] = there
    pairs = paired.count_pairs(hits["candidate"], hits["baseline"])
    found: dict[str, Any] = {role: _rate(values) for role, values in hits.items()}
    found |= {"n": pairs.n, "lost": pairs.lost, "won": pairs.won}
    found |= {"classes": _groups(classes, hits, ran), "slices": _groups(slices, hits, ran)}
    return found | agreement


def _ran(folder: Path, labels: Array) -> Array:
    """The rows of the examples whose outputs are in a folder."""
    return dataset.chosen(len(labels), len(first_output(folder)))


def read_hits(folder: Path, labels: Array) -> Any:
    """Which examples [N] the outputs in a folder get right; StepError for outputs that cannot be compared."""
    outputs = first_output(folder)
    if outputs.ndim != 2 or len(outputs) != len(labels):
        raise StepError(f"outputs of shape {list(outputs.shape)} cannot be compared with {len(labels)} labels")
    return outputs.argmax(1) == labels


def _rate(hits: Any) -> dict[str, float]:
    bound = paired.wilson(int(hits.sum()), int(hits.size))
    return {"accuracy": bound.estimate, "low": bound.low, "high": bound.high}


def _groups(masks: Masks, hits: dict[str, Any], ran: Any) -> dict[str, dict[str, float]]:
    """Counts and drop of each group, its one-sided bounds at 1 − 0.05 / groups: all hold at once (Bonferroni).

    `unrun` are the examples that did not run on the device, where one is to answer.
    """
    found = {}
    for name, mask in masks.items():
        pairs = paired.count_pairs(hits["candidate"][mask], hits["baseline"][mask])
        confidence = 1 - 0.05 / len(masks)
        bound = paired.drop_bound(pairs.lost, pairs.won, pairs.n, confidence)
        counts = {"n": pairs.n, "lost": pairs.lost, "won": pairs.won, "unrun": int((mask & ~ran).sum())}
        found[name] = counts | {"drop": bound.estimate, "low": bound.low, "high": bound.high, "confidence": confidence}
    return found
