"""How far a converted file's outputs are from the torch model's: in float32, and after quantization."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.registry import TASKS

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


@dataclass(frozen=True, slots=True)
class Parity(Step):
    """Inputs: `reference` (torch), `converted` (the float32 file), `candidate` (the file that would be shipped).

    Where these two ran on this machine because the target's device takes only some examples, its own outputs on those
    are `device_converted` and `device_candidate`, compared with torch's on the same.
    """

    task: str = "classification"

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("reference", "converted", "candidate")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: `origin` says whose outputs are compared; `device`, if any, has its own."""
        reference, device = first_output(io.path("reference")), None
        if "device_converted" in io.inputs:
            device = evidence.OnDevice(origin(io.path("device_converted")), self._outputs(io, reference, "device_"))
        parity = evidence.Parity(origin(io.path("converted")), self._outputs(io, reference, ""), device)
        documents.write(io.output / evidence.FILE, parity)

    def _outputs(self, io: StepIO, reference: Array, place: str) -> dict[str, evidence.Converted]:
        """Both files' outputs in one place, against torch's on the same examples."""
        both = []
        for role in ("converted", "candidate"):
            values = first_output(io.path(place + role))
            same = reference[dataset.chosen(len(reference), len(values))]
            both.append(compare(values, same, scores=TASKS.get(self.task).choice))
        return {evidence.ONLY: evidence.Converted(*both)}


def origin(folder: Path) -> evidence.Origin:
    """What made the outputs in a folder."""
    return documents.read(evidence.Origin, folder / evidence.ORIGIN)


def first_output(folder: Path) -> Array:
    """The model's first output on every example, [N, …] float; StepError where one is not a finite number."""
    import numpy as np

    with np.load(folder / "outputs.npz") as stored:
        values: Array = stored["0"]
    if not np.isfinite(values).all():
        first = int(np.argwhere(~np.isfinite(values))[0][0])
        raise StepError(f"the model answers NaN or infinite values on held-out examples, first on example {first}")
    return values


def compare(values: Array, reference: Array, *, scores: bool = True) -> evidence.Comparison:
    """Differences of two outputs [N, …] of the same examples.

    `scores`: whether they are such, for the largest of values that are none means nothing. The signal to noise ratio is
    10·log₁₀ of the power of the reference over that of the difference.
    """
    import numpy as np

    ours, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (values, reference))
    apart = ours - theirs
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = np.sum(ours * theirs, axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    noise, power = float(np.sum(apart**2)), float(np.sum(theirs**2))
    largest = float(np.max(np.abs(apart)))
    return evidence.Comparison(
        n=len(ours),
        max_abs=largest,
        relative=largest / max(float(np.max(np.abs(theirs))), 1e-12),
        cosine=float(np.min(cosine)),
        snr_db=float(10 * np.log10(power / noise)) if noise > 0 and power > 0 else 999.0,
        agreement=float(np.mean(ours.argmax(1) == theirs.argmax(1))) if scores else None,
    )
