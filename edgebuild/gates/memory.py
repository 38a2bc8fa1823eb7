"""Memory: what the model adds to the peak of its process, against a limit or against the float model."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._once import Once
from edgebuild.gates._timed import Amount
from edgebuild.spec.evidence import Processes, Samples
from edgebuild.spec.units import BYTES, show_bytes


class Memory(Once):
    """The limit is a change ("+10 %") or an amount ("64 MiB"), of the median over processes.

    It is resident memory above that of the process with the runtime and the inputs but without a model.
    """

    title: ClassVar[str] = "memory"
    noun: ClassVar[str] = "memory"
    units: ClassVar[dict[str, float] | dict[str, int]] = BYTES
    amount: ClassVar[Amount] = Amount("memory", "B", show_bytes)

    @staticmethod
    def samples(processes: Processes) -> Samples:
        """Bytes of each process."""
        return processes.memory
