"""What every device can do: say whether it is there and what it is, and execute a job folder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.evidence import Counted
from edgebuild.spec.target import Fidelity, Hardware


class Device(Protocol):
    """A place where artifacts run; one file in `devices/`. The format of a job folder is documented in `runner.py`.

    transport: its name
    elsewhere: whether it is another machine than this one: it has a lock of its own
    """

    __slots__ = ()

    transport: ClassVar[str]
    elsewhere: ClassVar[bool] = False

    @abstractmethod
    def why_unusable(self) -> str | None:
        """One line saying why nothing can run here, or None when it can."""

    @abstractmethod
    def fidelity(self, hardware: Hardware) -> Fidelity:
        """What evidence from here is worth for a target with this hardware."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Facts that do not change from run to run (never load or temperature): these enter cache keys.

        Raises DeviceError when the device cannot be reached.
        """

    @abstractmethod
    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the runner on the folder `job`, at most `timeout` seconds; its results appear in that folder.

        Raises DeviceError with one line when the runner reports an error, crashes or takes too long.
        """

    @classmethod
    def from_address(cls, place: str) -> Mapping[str, Any]:
        """The options that an address such as `pi@host` in `ssh://pi@host` stands for; UsageError for what is none."""
        raise UsageError(f"{cls.transport} takes no address, got {place!r}", key="--device")

    @property
    def board(self) -> tuple[str, str] | None:
        """Of another machine that was asked: what no other has, and the name by which it is reached."""
        return None

    @property
    def counts(self) -> bool:
        """Whether it counts work instead of timing it."""
        return type(self).count is not Device.count

    @property
    def examples(self) -> int | None:
        """How many held-out examples may run here, drawn at random; None: all of them."""
        return None

    @property
    def budget(self) -> float | None:
        """Seconds that this machine, all its cores at work, may spend on examples here; None: as many as it takes."""
        return None

    def attach(self, hardware: Hardware) -> Self:
        """This device, standing for a target with this hardware."""
        return self

    def count(self, job: Path, mcpu: str, *, timeout: float) -> Counted:
        """Execute a job of mode "count": instructions, classes, caches and the cycles that `mcpu` needs for them.

        Only devices that count have it.
        """
        raise DeviceError(f"{self.transport} cannot count work")

    def count_each(self, job: Path, mcpu: str, *, timeout: float) -> tuple[Counted, ...]:
        """As `count`, the work of every region by itself, in the order of the job's models."""
        raise DeviceError(f"{self.transport} cannot count work")

    def count_parts(self, job: Path, whole: Path, mcpu: str, *, timeout: float) -> tuple[Counted, ...]:
        """Execute a job of mode "layer-counts"; of the work that was counted in the job `whole`, what each region is.

        Together they are no more than the whole.
        """
        raise DeviceError(f"{self.transport} cannot count work")
