"""Seconds from counted work, with the band that the target's profile states."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from edgebuild.devices.timing import predicted
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.target import Runtime


@dataclass(frozen=True, slots=True)
class Predict:
    """Inputs: `candidate/<format>` and `baseline/<format>`, the counted work of each file, and `shared/<format>`, how
    much of it both do.
    """

    model: TimeModel
    clock: float
    runtimes: tuple[Runtime, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`, in the shape that `Latency` gives it too."""
        formats = {runtime.format: self._of_one(io, runtime) for runtime in self.runtimes}
        first = formats[self.runtimes[0].format]["candidate_seconds"][0]
        for found in formats.values():
            found["speed"] = found["candidate_seconds"][0] / first
        found = {"fidelity": "emulated", "device": "qemu", "sources": list(self.model.sources), "formats": formats}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _of_one(self, io: StepIO, runtime: Runtime) -> dict[str, Any]:
        counted = {
            role: json.loads((io.path(f"{role}/{runtime.format}") / "evidence.json").read_text())
            for role in ("candidate", "baseline")
        }
        seconds = {
            role: predicted.seconds(found, self.model, self.clock, runtime.threads) for role, found in counted.items()
        }
        shared = json.loads((io.path(f"shared/{runtime.format}") / "evidence.json").read_text())
        return {
            "candidate_seconds": [seconds["candidate"]],
            "baseline_seconds": [seconds["baseline"]],
            "band": self.model.band(runtime.threads),
            "ratio_band": self.model.ratio_band,
            "ratio_limits": predicted.ratio_limits(self.model.ratio_band, seconds, shared),
            "shared": shared,
            "threads": runtime.threads,
            "counted": counted,
        }
