"""A phone reached by adb: as an SSH host, but over USB, and without a Python of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.devices.jobs import looks, outcome, remote, shipping
from edgebuild.devices.local import STABLE
from edgebuild.spec.target import Fidelity, Hardware


@dataclass(frozen=True, slots=True)
class Adb:
    """`serial` may be left out where one phone is connected; jobs live in `folder`.

    `python` is an interpreter on the phone that the user `shell` may execute, with numpy and the runtime. Android
    has none: push one below `/data/local/tmp` (Termux's own belongs to another user).
    """

    serial: Annotated[str, Field(pattern=r"^([^-\s]\S*)?$")] = ""
    folder: str = "/data/local/tmp"
    python: Annotated[str, Field(pattern=r"^[^-\s]")] = "python3"
    cooldown: looks.Cooldown = 0.0

    transport: ClassVar[str] = "adb"
    counts: ClassVar[bool] = False
    elsewhere: ClassVar[bool] = True
    examples: ClassVar[int | None] = None
    budget: ClassVar[float | None] = None

    @staticmethod
    def from_address(place: str) -> dict[str, str]:
        """The options that a serial number names."""
        return {"serial": place}

    def attach(self, hardware: Hardware) -> Adb:
        """The phone is what it is, whatever it stands for."""
        return self

    def why_unusable(self) -> str | None:
        """No adb, no phone or several, one that does not trust this computer, or no Python, numpy or runtime on it."""
        return looks.why_unusable(self, self._ask, self.python)

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """The real thing: whoever declares this phone says that it is the target's hardware."""
        return "hardware"

    def fingerprint(self) -> dict[str, str]:
        """The facts named in STABLE, Android's model and build, and the versions of Python and the runtimes there."""
        return looks.stable(looks.look(self, self._ask), STABLE)

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the job in a fresh private folder there; killed whole at `timeout` seconds; see `Device.execute`."""
        outcome.clear(job)
        with self._session(shipping.folders(job)) as session:
            session.alone(self.serial or self.transport)
            looks.cool_down(self, session.facts, self.cooldown)
            shipping.execute(session, job, timeout)

    def _ask(self) -> dict[str, Any]:
        with self._session([]) as session:
            return session.facts()

    @contextmanager
    def _session(self, folders: list[str]) -> Iterator[remote.Session]:
        from edgebuild.devices._adb_link import Link

        link = Link(self.serial, remote.command(self.python))
        # No signs of life: adbd closes the stream by itself when the cable or the server is gone.
        with remote.session(link, self.python, self.folder, folders, patience=None) as session:
            yield session
