"""A board or server reached by SSH: host keys checked, names never in a shell's words, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import Field

from edgebuild.devices._ssh_trust import Address
from edgebuild.devices.jobs import looks, outcome, remote, shipping
from edgebuild.devices.local import STABLE
from edgebuild.spec.errors import UsageError
from edgebuild.spec.target import Fidelity, Hardware

PATIENCE = 120.0  # seconds without a sign of life from us, after which the device cleans up by itself


@dataclass(frozen=True, slots=True)
class Ssh:
    """`known_hosts` and `key` are files (default: the user's own); `python` has numpy and the runtime.

    `folder` is where jobs may live on the device (default: its temporary folder). `cooldown` is how long a job may
    wait for the device to be as cool as when the first one started.
    """

    host: Annotated[str, Field(pattern=r"^[^-\s]\S*$")]
    user: Annotated[str, Field(pattern=r"^([^-\s]\S*)?$")] = ""
    port: Annotated[int, Ge(1), Le(65535)] = 22
    key: str = ""
    known_hosts: str = ""
    python: Annotated[str, Field(pattern=r"^[^-\s]")] = "python3"
    folder: str = ""
    cooldown: looks.Cooldown = 0.0

    transport: ClassVar[str] = "ssh"
    counts: ClassVar[bool] = False
    elsewhere: ClassVar[bool] = True
    examples: ClassVar[int | None] = None
    budget: ClassVar[float | None] = None

    @staticmethod
    def from_address(place: str) -> dict[str, Any]:
        """The options that `pi@host:2222` names; UsageError for a port that is no number."""
        try:
            found = urlsplit(f"//{place}")
            return {"host": found.hostname or "", "user": found.username or "", "port": found.port or 22}
        except ValueError as error:
            raise UsageError(f"{place!r} is no address: {error}", key="--device") from None

    def attach(self, hardware: Hardware) -> Ssh:
        """The device is what it is, whatever it stands for."""
        return self

    def why_unusable(self) -> str | None:
        """It does not answer, is not known, refuses us, or lacks Python, numpy or a runtime."""
        return looks.why_unusable(self, self._ask, self.python)

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """The real thing: whoever declares this device says that it is the target's hardware."""
        return "hardware"

    def fingerprint(self) -> dict[str, str]:
        """The facts named in STABLE, the host's name, and the versions of Python, numpy and the runtimes there."""
        return looks.stable(looks.look(self, self._ask), STABLE)

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the job in a fresh private folder there; killed whole at `timeout` seconds; see `Device.execute`."""
        outcome.clear(job)
        with self._session(shipping.folders(job)) as session:
            session.alone(self.host)
            looks.cool_down(self, session.facts, self.cooldown)
            shipping.execute(session, job, timeout)

    def _ask(self) -> dict[str, Any]:
        with self._session([]) as session:
            return session.facts()

    @contextmanager
    def _session(self, folders: list[str]) -> Iterator[remote.Session]:
        from edgebuild.devices._ssh_link import Link

        link = Link(Address(self.host, self.port, self.user, self.key, self.known_hosts), remote.command(self.python))
        with remote.session(link, self.python, self.folder, folders, PATIENCE) as session:
            yield session
