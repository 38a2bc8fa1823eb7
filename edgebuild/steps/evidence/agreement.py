"""Whether the device answers as the host does: what lets a host's run over all examples speak for the device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.steps.evidence.parity import first_output


@dataclass(frozen=True, slots=True)
class Agreement:
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
        origin = json.loads((io.path("device") / "origin.json").read_text())
        looks = origin.pop("looks", None)  # how many examples were decided to be enough
        found = {"origin": origin, "of": len(host)} | ({"looks": looks} if looks else {})
        same = host[dataset.chosen(len(host), len(device))]
        found |= compare(device, same, whole=len(device) == len(host))
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def compare(device: Any, host: Any, *, whole: bool = False) -> dict[str, Any]:
    """How two outputs [n, …] of the same examples differ.

    distinct: different values among the device's; one or two would agree with anything. `whole` says that these are
    all the examples there are: equal bits on some do not speak for the others, for an ONNX file has been seen whose
    outputs were identical on 14 of 16 inputs and differed on the other two.
    """
    import numpy as np

    n = len(device)
    return {
        "n": n,
        "whole": whole,
        "identical": bool(np.array_equal(device, host)),
        "distinct": len(np.unique(device)),
        "max_abs": float(np.max(np.abs(device.astype(np.float64) - host.astype(np.float64)))),
        "values_differing": int(np.sum(device != host)),
        "answers_differing": int(np.sum(device.reshape(n, -1).argmax(1) != host.reshape(n, -1).argmax(1))),
    }
