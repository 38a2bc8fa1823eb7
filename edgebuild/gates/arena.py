"""Arena: memory for the activations of one inference, absolute or against the float baseline's."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._ceiling import Counted, Counts
from edgebuild.spec.evidence import Evidence, known
from edgebuild.spec.units import BYTES, show_bytes


class Arena(Counted):
    """The limit is bytes ("64 KiB") or a change ("-50 %").

    What is limited is a static plan of inputs, outputs and what lies between, made of the model file: it carries no
    noise, and it leaves out weights and what kernels need for themselves. `memory` measures a process whole.
    """

    noun: ClassVar[str] = "an arena"
    units: ClassVar[dict[str, float] | dict[str, int]] = BYTES
    unit: ClassVar[str] = "B"
    show: ClassVar[staticmethod[[float], str]] = staticmethod(show_bytes)

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides."""
        return "arena"

    @staticmethod
    def counts(evidence: Evidence) -> Counts:
        """Bytes of both plans."""
        arena = known(evidence.arena)
        return Counts(arena.candidate.bytes, arena.baseline.bytes)
