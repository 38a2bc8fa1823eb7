"""RAM: the model file and the activations of one inference together, of the memory that the target has."""

from __future__ import annotations

from typing import Any, ClassVar

from edgebuild.gates import _ceiling
from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import exact_bytes, parse_bytes, parse_share, show_bytes


class Ram(Counted):
    """The limit is bytes ("64 MiB"), or in a policy or a target a share of the hardware's `ram` ("100 %").

    Weights lie in memory as they do in the file, and activations as in the plan of `arena`; what the runtime and its
    kernels need for themselves comes on top, and `memory` measures it.
    """

    from_hardware: ClassVar[str] = "ram"

    @staticmethod
    def limit(text: str) -> Ceiling:
        """The limit in bytes; ValueError where it has no unit or no sense."""
        return Ceiling(parse_bytes(text), None)

    @staticmethod
    def of_hardware(text: str, ram: int | None) -> str:
        """The limit in bytes as text, where it is a share of `ram`; ValueError where the target names none."""
        if "%" not in text:
            return text
        share = 1.0 if text.split() == ["100", "%"] else parse_share(text)
        if ram is None:
            raise ValueError(f"{text!r} of what? The target has no `ram` in [hardware]")
        return exact_bytes(int(share * ram))

    @staticmethod
    def asks(text: str) -> str:
        """The evidence that decides beside the footprint."""
        return "arena"

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when file and activations together are not larger than the limit, else fail."""
        both = [(evidence["footprint"][role], evidence["arena"][role]) for role in ("candidate", "baseline")]
        counts = Counts(*(file["bytes"] + arena["bytes"] for file, arena in both))
        return _ceiling.judge(gate, self.limit(gate.limit), counts, "B", show_bytes, "hardware")
