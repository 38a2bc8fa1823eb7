"""What a device that is another machine does the same way, however it is reached: jobs run there in a session."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from edgebuild.devices.jobs import looks, outcome, remote, shipping
from edgebuild.devices.local import STABLE
from edgebuild.spec.device import Device
from edgebuild.spec.target import Fidelity, Hardware


class Remote(Device):
    """The base of `Ssh` and `Adb`, which say where the device is and how a connection to it is made.

    `python` is an interpreter there with numpy and the runtime; jobs live in `folder`; `cooldown` is how long a job
    may wait for the device to be as cool as when the first one started.
    """

    __slots__ = ()

    python: str
    folder: str
    cooldown: float

    elsewhere: ClassVar[bool] = True
    # Seconds without a sign of life from us, after which the device cleans up by itself; None where the connection
    # ends by itself with whoever holds it.
    patience: ClassVar[float | None] = None

    @property
    @abstractmethod
    def place(self) -> str:
        """What we call the device: who waits for it, and who waits for us, is told so."""

    @abstractmethod
    def _link(self) -> remote.Link:
        """A new connection; DeviceError where there is none to be had."""

    def why_unusable(self) -> str | None:
        """It does not answer, refuses us, or lacks Python, numpy or a runtime."""
        return looks.why_unusable(self, self._ask, self.python)

    @property
    def board(self) -> tuple[str, str] | None:
        """What it called itself since it was started, when it was last looked at, and our name for it."""
        boot = looks.seen(self).get("fingerprint", {}).get("boot")
        return (boot, self.place) if boot else None

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """The real thing: whoever declares this device says that it is the target's hardware."""
        return "hardware"

    def fingerprint(self) -> dict[str, str]:
        """The facts named in STABLE, those of its own kind, and the versions of Python and the runtimes there."""
        return looks.stable(looks.look(self, self._ask), STABLE)

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the job in a fresh private folder there; killed whole at `timeout` seconds; see `Device.execute`."""
        outcome.clear(job)
        with self._session(shipping.folders(job)) as session:
            session.alone(self.place)
            looks.cool_down(self, session.facts, self.cooldown)
            shipping.execute(session, job, timeout)

    def _ask(self) -> dict[str, Any]:
        with self._session([]) as session:
            return session.facts()

    @contextmanager
    def _session(self, folders: list[str]) -> Iterator[remote.Session]:
        with remote.session(self._link(), self.python, self.folder, folders, self.patience) as session:
            yield session
