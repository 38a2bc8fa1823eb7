"""Memory: what the model adds to the peak of its process, against a limit or against the float model."""

from __future__ import annotations

from edgebuild.gates._once import Once
from edgebuild.spec.units import BYTES, show_bytes


class Memory(Once):
    """The limit is a change ("+10 %") or an amount ("64 MiB"), of the median over processes.

    It is resident memory above that of the process with the runtime and the inputs but without a model.
    """

    what, noun, told, unit = "memory", "memory", "memory", "B"
    units, show = BYTES, staticmethod(show_bytes)
