"""Cold start: the time to load the model and answer once in a fresh process, against a limit or the float model."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates._once import Once
from edgebuild.gates._timed import Amount
from edgebuild.spec.evidence import Processes, Samples
from edgebuild.spec.units import SECONDS, show_seconds


class ColdStart(Once):
    """The limit is a change ("+10 %") or a time ("300 ms"), of the median over processes.

    Python and the runtime's library count as there already: they belong to the application.
    """

    title: ClassVar[str] = "cold start"
    noun: ClassVar[str] = "a time"
    units: ClassVar[dict[str, float] | dict[str, int]] = SECONDS
    amount: ClassVar[Amount] = Amount("time", "s", show_seconds)

    @staticmethod
    def samples(processes: Processes) -> Samples:
        """Seconds of each start."""
        return processes.cold_start
