"""A board or server reached by SSH: host keys checked, names never in a shell's words, nothing left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field

from edgebuild.devices._remote import Remote
from edgebuild.devices._ssh_trust import Address
from edgebuild.devices.jobs import looks, remote
from edgebuild.spec.errors import UsageError


def _no_password(value: object) -> object:
    """ValueError, which does not repeat it, for a name that brings a password or another name along."""
    if isinstance(value, str) and "@" in value:
        raise ValueError("takes neither a user nor a password: keys alone are used (ssh-copy-id), and user = names one")
    return value


def _a_name(value: object) -> object:
    """Likewise for a user's name, in which a colon is the beginning of a password."""
    if isinstance(value, str) and ":" in value:
        raise ValueError("takes no password: keys alone are used (ssh-copy-id)")
    return _no_password(value)


@dataclass(frozen=True, slots=True)
class Ssh(Remote):
    """`known_hosts` and `key` are files (default: the user's own); `python` has numpy and the runtime.

    `folder` is where jobs may live on the device (default: its temporary folder). `cooldown` is how long a job may
    wait for the device to be as cool as when the first one started.
    """

    host: Annotated[str, Field(pattern=r"^[^-@\s][^@\s]*$"), BeforeValidator(_no_password)]
    user: Annotated[str, Field(pattern=r"^([^-\s]\S*)?$"), BeforeValidator(_a_name)] = ""
    port: Annotated[int, Ge(1), Le(65535)] = 22
    key: str = ""
    known_hosts: str = ""
    python: Annotated[str, Field(pattern=r"^[^-\s]")] = "python3"
    folder: str = ""
    cooldown: looks.Cooldown = 0.0

    transport: ClassVar[str] = "ssh"
    patience: ClassVar[float | None] = 120.0

    @staticmethod
    def from_address(place: str) -> dict[str, Any]:
        """The options that `pi@host:2222` names; UsageError for a port that is no number, and for a password, which
        would be seen by all who see commands.
        """
        if ":" in place.rpartition("@")[0]:
            raise UsageError("an address takes no password", key="--device", hint="keys alone are used: ssh-copy-id")
        try:
            address = urlsplit(f"//{place}")
            return {"host": address.hostname or "", "user": address.username or "", "port": address.port or 22}
        except ValueError as error:
            raise UsageError(f"{place!r} is no address: {error}", key="--device") from None

    @property
    def place(self) -> str:
        """The host."""
        return self.host

    def _link(self) -> remote.Link:
        from edgebuild.devices._ssh_link import Link

        return Link(Address(self.host, self.port, self.user, self.key, self.known_hosts), remote.command(self.python))
