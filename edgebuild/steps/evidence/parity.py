"""How far a converted file's outputs are from the torch model's: in float32, and after quantization."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.model import Task

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


@dataclass(frozen=True, slots=True)
class Parity:
    """Inputs: `reference` (torch), `converted` (the float32 file), `candidate` (the file that would be shipped).

    Where these two ran on this machine because the target's device takes only some examples, its own outputs on those
    are `device_converted` and `device_candidate`, compared with torch's on the same.
    """

    task: Task = "classification"

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("reference", "converted", "candidate")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: `origin` says whose outputs are compared; `device`, if any, has its own."""
        reference = first_output(io.path("reference"))
        found = self._of_one(io, reference, "")
        if "device_converted" in io.inputs:
            found["device"] = self._of_one(io, reference, "device_")
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _of_one(self, io: StepIO, reference: Array, place: str) -> dict[str, Any]:
        """Both files' outputs in one place, against torch's on the same examples."""
        found: dict[str, Any] = {"origin": json.loads((io.path(f"{place}converted") / "origin.json").read_text())}
        for role in ("converted", "candidate"):
            given = first_output(io.path(place + role))
            found[role] = compare(given, reference[dataset.chosen(len(reference), len(given))])
            if self.task != "classification":
                del found[role]["agreement"]  # the largest of values that are no scores means nothing
        return found


def first_output(folder: Path) -> Array:
    """The model's first output on every example, [N, …] float; StepError where one is not a finite number."""
    import numpy as np

    with np.load(folder / "outputs.npz") as stored:
        values: Array = stored["0"]
    if not np.isfinite(values).all():
        first = int(np.argwhere(~np.isfinite(values))[0][0])
        raise StepError(f"the model answers NaN or infinite values on held-out examples, first on example {first}")
    return values


def compare(given: Array, reference: Array) -> dict[str, float | int]:
    """Differences of two outputs [N, …] of the same examples.

    max_abs: largest absolute difference; relative: that over the largest absolute reference; cosine: the least
    over examples; agreement: share of examples with the same largest output; snr_db: 10·log₁₀ of the power of the
    reference over that of the difference.
    """
    import numpy as np

    ours, theirs = (values.reshape(len(values), -1).astype(np.float64) for values in (given, reference))
    apart = ours - theirs
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = np.sum(ours * theirs, axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    noise, power = float(np.sum(apart**2)), float(np.sum(theirs**2))
    largest = float(np.max(np.abs(apart)))
    return {
        "n": len(ours),
        "max_abs": largest,
        "relative": largest / max(float(np.max(np.abs(theirs))), 1e-12),
        "cosine": float(np.min(cosine)),
        "agreement": float(np.mean(ours.argmax(1) == theirs.argmax(1))),
        "snr_db": float(10 * np.log10(power / noise)) if noise > 0 and power > 0 else 999.0,
    }
