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
    """Top-1 of the exported files' own outputs; `hits.npz` keeps which examples each got right."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` and `hits.npz`.

        With an `agreement`, the host's outputs speak for a device that ran some of the examples; how far the two may
        differ on the others is kept as the penalty that the gate adds to the drop.
        """
        import numpy as np

        labels = dataset.read(io.path("data"), "test").labels
        hits = {role: read_hits(io.path(role), labels) for role in ("candidate", "baseline")}
        pairs = paired.count_pairs(hits["candidate"], hits["baseline"])
        found: dict[str, Any] = {role: _rate(values) for role, values in hits.items()}
        found |= {"n": pairs.n, "lost": pairs.lost, "won": pairs.won}
        found["origin"] = json.loads((io.path("candidate") / "origin.json").read_text())
        if "agreement" in io.inputs:
            found |= self._of_device(io)
        np.savez(io.output / "hits.npz", **hits)
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

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
