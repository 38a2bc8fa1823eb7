"""Cold start: the time to load the model and answer once in a fresh process, against a limit or the float model."""

from __future__ import annotations

from edgebuild.gates._once import Once
from edgebuild.spec.units import SECONDS, show_seconds


class ColdStart(Once):
    """The limit is a change ("+10 %") or a time ("300 ms"), of the median over processes.

    Python and the runtime's library count as there already: they belong to the application.
    """

    what, noun, told, unit = "cold_start", "a time", "time", "s"
    units, show = SECONDS, staticmethod(show_seconds)
