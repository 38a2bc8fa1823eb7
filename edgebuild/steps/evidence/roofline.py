"""An estimate of time from peak rates, for targets that can be neither reached nor emulated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.target import Roofline as Rates


@dataclass(frozen=True, slots=True)
class Roofline:
    """t = max(2·MACs / peak, bytes of weights / bandwidth), Williams, Waterman & Patterson 2009.

    A lower bound that no real device reaches: it ranks, and it never passes a gate on time.
    """

    rates: Rates
    formats: tuple[str, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ()
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json` from the footprints."""
        footprints = {name: _read(item.path) for name, item in io.roles("footprint").items()}
        seconds = {name: {r: self.seconds(found[r]) for r in found} for name, found in footprints.items()}
        first = seconds[self.formats[0]]["candidate"]
        formats = {
            name: {
                "candidate_seconds": [both["candidate"]],
                "baseline_seconds": [both["baseline"]],
                "speed": both["candidate"] / first,
            }
            for name, both in seconds.items()
        }
        found = {"fidelity": "estimated", "device": "roofline", "source": self.rates.source, "formats": formats}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def seconds(self, footprint: dict[str, int]) -> float:
        """The bound for one inference, in seconds."""
        return max(2 * footprint["macs"] / self.rates.peak, footprint["bytes"] / self.rates.bandwidth)


def _read(folder: Any) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads((folder / "evidence.json").read_text())
    return found
