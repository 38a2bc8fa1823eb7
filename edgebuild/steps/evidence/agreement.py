"""Whether the device answers as the host does: what lets a host's run over all examples speak for the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.steps.evidence.parity import first_output, origin

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


@dataclass(frozen=True, slots=True)
class Agreement(Step):
    """Inputs: `device`, the outputs of some held-out examples there, and `host`, of all of them here."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("device", "host")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        device, host = first_output(io.path("device")), first_output(io.path("host"))
        n, of = len(device), len(host)
        outputs = {evidence.ONLY: compare(device, host[dataset.chosen(of, n)])}
        agreement = evidence.Agreement(origin(io.path("device")), n, of, n == of, outputs)
        documents.write(io.output / evidence.FILE, agreement)


def compare(device: Array, host: Array) -> evidence.Differences:
    """How two outputs [n, …] of the same examples differ.

    Equal bits on some examples do not speak for the others: an ONNX file has been seen whose outputs were identical on
    14 of 16 inputs and differed on the other two.
    """
    import numpy as np

    n = len(device)
    return evidence.Differences(
        identical=bool(np.array_equal(device, host)),
        distinct=len(np.unique(device)),
        max_abs=float(np.max(np.abs(device.astype(np.float64) - host.astype(np.float64)))),
        values_differing=int(np.sum(device != host)),
        answers_differing=int(np.sum(device.reshape(n, -1).argmax(1) != host.reshape(n, -1).argmax(1))),
    )
