"""What every device can do: say whether it is there and what it is, and execute a job folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

from edgebuild.spec.target import Fidelity, Hardware


class Device(Protocol):
    """A place where artifacts run.  The format of a job folder is documented in `runner.py`."""

    transport: ClassVar[str]

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
