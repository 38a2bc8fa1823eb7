"""RAM: the model file and the activations of one inference together, of the memory that the target has."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Ceiling, Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.target import Hardware
from edgebuild.spec.units import exact_bytes, parse_bytes, parse_share, show_bytes


class Ram(Counted):
    """The limit is bytes ("64 MiB"), or in a policy or a target a share of the hardware's `ram` ("100 %").

    Weights lie in memory as they do in the file, and activations as in the plan of `arena`; what the runtime and its
    kernels need for themselves comes on top, and `memory` measures it.
    """

    regression: ClassVar[str | None] = None
    unit: ClassVar[str] = "B"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_bytes)

    @classmethod
    def limit(cls, text: str) -> Ceiling:
        """The limit in bytes; ValueError where it has no unit or no sense."""
        return Ceiling(parse_bytes(text), None)

    @classmethod
    def applies(cls, hardware: Hardware) -> bool:
        """Whether the target names the memory that it has."""
        return hardware.ram is not None

    @classmethod
    def on_hardware(cls, text: str, hardware: Hardware) -> str:
        """The limit in bytes as text, where it is a share of `ram`; ValueError where the target names none."""
        if "%" not in text:
            return text
        share = 1.0 if text.split() == ["100", "%"] else parse_share(text)
        if hardware.ram is None:
            raise ValueError(f"{text!r} of what? The target has no `ram` in [hardware]")
        return exact_bytes(int(share * hardware.ram))

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides beside the footprint."""
        return "arena"

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Bytes of file and activations together, of both."""
        file, arena = known(evidence.footprint), known(evidence.arena)
        ours = file.candidate.bytes + arena.candidate.bytes
        return Counts(ours, file.baseline.bytes + arena.baseline.bytes)
