"""A phone reached by adb: as an SSH host, but over USB, and without a Python of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.devices._remote import Remote
from edgebuild.devices.jobs import looks, remote


@dataclass(frozen=True, slots=True)
class Adb(Remote):
    """`serial` may be left out where one phone is connected; jobs live in `folder`.

    `python` is an interpreter on the phone that the user `shell` may execute, with numpy and the runtime. Android
    has none: push one below `/data/local/tmp` (Termux's own belongs to another user).
    """

    serial: Annotated[str, Field(pattern=r"^([^-@\s][^@\s]*)?$")] = ""
    folder: str = "/data/local/tmp"
    python: Annotated[str, Field(pattern=r"^[^-\s]")] = "python3"
    cooldown: looks.Cooldown = 0.0

    transport: ClassVar[str] = "adb"  # adbd closes the stream by itself when the cable or the server is gone

    @staticmethod
    def from_address(place: str) -> dict[str, str]:
        """The options that a serial number names."""
        return {"serial": place}

    @property
    def place(self) -> str:
        """The serial number, where one was given."""
        return self.serial or self.transport

    def _link(self) -> remote.Link:
        from edgebuild.devices._adb_link import Link

        return Link(self.serial, remote.command(self.python))
