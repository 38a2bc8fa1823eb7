"""What every device can do: say whether it is there and what it is, and execute a job folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from edgebuild.spec.target import Fidelity, Hardware


class Device(Protocol):
    """A place where artifacts run.  The format of a job folder is documented in `runner.py`."""

    transport: ClassVar[str]
    elsewhere: ClassVar[bool]  # another machine than this one: it has a lock of its own

    @property
    def counts(self) -> bool:
        """Whether it counts work (`CountingDevice.count`) instead of timing it."""
        ...

    @property
    def examples(self) -> int | None:
        """How many held-out examples may run here, drawn at random; None: all of them."""
        ...

    @property
    def budget(self) -> float | None:
        """Seconds that this machine, all its cores at work, may spend on examples here; None: as many as it takes."""
        ...

    def attach(self, hardware: Hardware) -> Device:
        """This device, standing for a target with this hardware."""
        ...

    def why_unusable(self) -> str | None:
        """One line saying why nothing can run here, or None when it can."""
        ...

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """What evidence from here is worth for a target with this hardware."""
        ...

    def fingerprint(self) -> dict[str, str]:
        """Facts that do not change from run to run (never load or temperature): these enter cache keys.

        Raises DeviceError when the device cannot be reached.
        """
        ...

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the runner on the folder `job`, at most `timeout` seconds; its results appear in that folder.

        Raises DeviceError with one line when the runner reports an error, crashes or takes too long.
        """
        ...


class CountingDevice(Device, Protocol):
    """A device that counts the work of a job exactly instead of timing it."""

    def count(self, job: Path, mcpu: str, *, timeout: float) -> dict[str, Any]:
        """Execute a job of mode "count": instructions, classes, caches and the cycles that `mcpu` needs for them."""
        ...
