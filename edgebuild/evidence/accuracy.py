"""How many held-out examples the candidate and its float baseline get right, example by example."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.evidence.parity import first_output
from edgebuild.measure import paired
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import StepError

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


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

        With an `agreement`, the host's outputs speak for a device that ran some of the examples; how far the two may
        differ on the others is up to the gate.
        """
        import numpy as np

        labels = dataset.read(io.path("data"), "test").labels
        hits = {role: read_hits(io.path(role), labels) for role in ("candidate", "baseline")}
        pairs = paired.count_pairs(hits["candidate"], hits["baseline"])
        found: dict[str, Any] = {role: _rate(values) for role, values in hits.items()}
        found |= {"n": pairs.n, "lost": pairs.lost, "won": pairs.won}
        found["classes"] = _groups(self._classes(labels), hits)
        found["slices"] = _groups(dataset.slices(io.path("data")), hits)
        found["origin"] = json.loads((io.path("candidate") / "origin.json").read_text())
        if "agreement" in io.inputs:
            found |= self._of_device(io)
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

    def _of_device(self, io: StepIO) -> dict[str, Any]:
        agreement = json.loads((io.path("agreement") / "evidence.json").read_text())
        return {"origin": agreement.pop("origin"), "agreement": agreement}


def read_hits(folder: Path, labels: Array) -> Any:
    """Which examples [N] the outputs in a folder get right; StepError for outputs that cannot be compared."""
    outputs = first_output(folder)
    if outputs.ndim != 2 or len(outputs) != len(labels):
        raise StepError(f"outputs of shape {list(outputs.shape)} cannot be compared with {len(labels)} labels")
    return outputs.argmax(1) == labels


def _rate(hits: Any) -> dict[str, float]:
    bound = paired.wilson(int(hits.sum()), int(hits.size))
    return {"accuracy": bound.estimate, "low": bound.low, "high": bound.high}


def _groups(masks: dict[str, Any], hits: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Counts and drop of each group, its one-sided bounds at 1 − 0.05 / groups: all hold at once (Bonferroni)."""
    found = {}
    for name, mask in masks.items():
        pairs = paired.count_pairs(hits["candidate"][mask], hits["baseline"][mask])
        confidence = 1 - 0.05 / len(masks)
        bound = paired.drop_bound(pairs.lost, pairs.won, pairs.n, confidence)
        counts = {"n": pairs.n, "lost": pairs.lost, "won": pairs.won}
        found[name] = counts | {"drop": bound.estimate, "low": bound.low, "high": bound.high, "confidence": confidence}
    return found
