"""Which hosts are trusted: those whose keys somebody has made known, as OpenSSH keeps them; never a new one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, SYSTEMS = "~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to log in as whom, with which key, trusting which hosts; "" and 22: as the user's ~/.ssh says."""

    host: str
    port: int = 22
    user: str = ""
    key: str = ""
    known_hosts: str = ""

    def __str__(self) -> str:
        return self.host if self.port == 22 else f"{self.host}:{self.port}"

    @property
    def login(self) -> str:
        """The command that a person would type."""
        words = ["ssh", *(["-p", str(self.port)] if self.port != 22 else [])]
        words += ["-o", f"UserKnownHostsFile={self.known_hosts}"] if self.known_hosts else []
        return shlex.join([*words, f"{self.user}@{self.host}" if self.user else self.host])


class Trust:
    """The keys that are known for a host, and what became of the one that it showed."""

    def __init__(self, address: Address) -> None:
        """Read the known hosts; ValueError or OSError when they cannot be."""
        import asyncssh

        self._address, self._known, self._shown = address, False, ""
        files = [address.known_hosts] if address.known_hosts else [OURS, SYSTEMS]
        paths = [Path(file).expanduser() for file in files]
        # A file that was named must be there; without any, no host is known.
        self._hosts = asyncssh.read_known_hosts([str(p) for p in paths if address.known_hosts or p.is_file()])

    def match(self, host: str, addr: str, port: int | None) -> Any:
        """The keys that are trusted for this host."""
        import asyncssh

        keys = asyncssh.match_known_hosts(self._hosts, host, addr, port)
        self._known = any(keys[:2])
        return keys

    def client(self) -> Any:
        """What asyncssh asks about a key that it has not found: the answer is no, always."""
        import asyncssh

        trust = self

        class Refusing(asyncssh.SSHClient):
            def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
                trust._shown = key.get_fingerprint()
                return False

        return Refusing()

    def why_refused(self) -> str:
        """One line for the key that was shown."""
        what = "has CHANGED: another machine, or somebody in between" if self._known else "is unknown"
        return f"the host key of {self._address}, {self._shown}, {what}"

    def what_to_do(self) -> str:
        """How a person who has compared the key makes it known."""
        address = self._address
        entry = address.host if address.port == 22 else f"[{address.host}]:{address.port}"
        named = ["-f", address.known_hosts] if address.known_hosts else []
        forget = f"`{shlex.join(['ssh-keygen', *named, '-R', entry])}`, then "
        advice = "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the device"
        return f"{advice}; if it is the same, {forget if self._known else ''}`{address.login}` once adds it"
