"""How far a converted file's outputs are from the torch model's: in float32, and after quantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import documents, drawing, equality, evidence, tasks
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence._outputs import named, origin, read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array
    from edgebuild.spec.task import Task


@dataclass(frozen=True, slots=True)
class Parity(Step):
    """Inputs: `reference` (torch), `converted` (the float32 file), `candidate` (the file that would be shipped).

    `outputs` are the model's, all of which are compared; `heads` say which of them choose.

    Where these two ran on this machine because the target's device takes only some examples, its own outputs on those
    are `device_converted` and `device_candidate`, compared with torch's on the same.
    """

    outputs: tuple[str, ...] = (evidence.ONLY,)
    heads: tuple[Head, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("reference", "converted", "candidate")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`: `origin` says whose outputs are compared; `device`, if any, has its own."""
        reference, device = read(io.path("reference")), None
        if "device_converted" in io.inputs:
            device = evidence.OnDevice(origin(io.path("device_converted")), self._outputs(io, reference, "device_"))
        parity = evidence.Parity(origin(io.path("converted")), self._outputs(io, reference, ""), device)
        documents.write(io.output / evidence.FILE, parity)

    def _outputs(self, io: StepIO, reference: list[Array], place: str) -> dict[str, evidence.Converted]:
        """Both files' outputs in one place, against torch's on the same examples."""
        files = [named(self.outputs, read(io.path(place + role))) for role in ("converted", "candidate")]
        compared = {}
        for position, name in enumerate(self.outputs):
            both = [self._compared(position, file[name], reference[position]) for file in files]
            compared[name] = evidence.Converted(*both)
        return compared

    def _compared(self, position: int, values: Array, reference: Array) -> evidence.Comparison:
        choosing = (tasks.of(head) for head in self.heads if head.outputs == (position,))
        task = next((task for task in choosing if task.choice), None)
        return compare(values, reference[drawing.chosen(len(reference), len(values))], task)


def compare(values: Array, reference: Array, task: Task | None = None) -> evidence.Comparison:
    """Differences of two outputs [N, …] of the same examples.

    `task`: what they choose, if they do; two files agree on an example where they choose the same. The signal to noise
    ratio is 10·log₁₀ of the power of the reference over that of the difference. Whole numbers that name something have
    no distance: `relative` is the share of them that is not the same, and they agree where all of an example's are.
    """
    import numpy as np

    ours, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (values, reference))
    apart = ours - theirs
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = np.sum(ours * theirs, axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    noise, power = float(np.sum(apart**2)), float(np.sum(theirs**2))
    largest = float(np.max(np.abs(apart)))
    relative = largest / max(float(np.max(np.abs(theirs))), 1e-12)
    agreement = float(np.mean(task.choices([values]) == task.choices([reference]))) if task else None
    if equality.names(values.dtype) and equality.names(reference.dtype):
        differing = equality.unequal(values, reference)
        relative = float(differing.mean())
        agreement = float(np.mean(differing == 0)) if agreement is None else agreement
    return evidence.Comparison(
        n=len(ours),
        max_abs=largest,
        relative=relative,
        cosine=float(np.min(cosine)),
        snr_db=float(10 * np.log10(power / noise)) if noise > 0 and power > 0 else 999.0,
        agreement=agreement,
    )
