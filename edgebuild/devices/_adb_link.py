"""One connection to a phone through the machine's adb server: the supervisor's stream, and files."""

from __future__ import annotations

import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgebuild.devices.jobs.remote import CONNECT, load
from edgebuild.spec.errors import DeviceError

ALIVE = 10.0  # seconds between signs of life
_PIECE = 64 * 1024  # bytes
LEAVE = 15.0  # seconds given to the phone to clean up
STATES = {
    "unauthorized": "has not authorised this computer: unlock it and accept the question on its screen",
    "offline": "is offline: plug it in again, or `adb reconnect`",
    "no": "may not be opened by this user: Debian's package android-sdk-platform-tools-common has the udev rules",
}


class Link:
    """A `remote.Link` over adb's "exec" service: no terminal, bytes as they are, the end of input when we vanish."""

    def __init__(self, serial: str, command: str) -> None:
        """Find the phone and start the command; DeviceError with one line when that fails."""
        with _reported(f"phone {serial}".strip()):
            self._device = find(serial)
            self._name = self._device.serial
            self._stream = self._device.open_transport(timeout=CONNECT)
            self._stream.send_command(f"exec:{command}")
            self._stream.check_okay()
        self._files = _Files(self._device)
        self._unread, self._said, self._answered = b"", "", False
        self._sending, self._left = threading.Lock(), threading.Event()
        threading.Thread(target=self._stay_alive, daemon=True, name="edgebuild-adb").start()

    def send(self, line: bytes) -> None:
        """Give the command a line; if it has ended, `receive` knows why."""
        with suppress(OSError), self._sending:
            self._stream.conn.sendall(line)

    def receive(self, timeout: float) -> bytes:
        """The next line that the command prints."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            data = self._more(deadline - time.monotonic())
            if not data:
                raise DeviceError(self._why_ended())
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        self._answered = self._answered or line.startswith(b"{")
        self._said = line.decode(errors="replace").strip() or self._said
        return line

    def push(self, local: Path, remote: str) -> None:
        """Copy a file there."""
        with _reported(f"{self._name}: cannot copy {local.name}"):
            self._files.push(local, remote)

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file here."""
        with _reported(f"{self._name}: cannot copy {local.name}"):
            self._device.sync.pull_file(remote, local)

    def close(self) -> None:
        """Ask the command to clean up, wait for its end, and hang up."""
        self._left.set()
        self._files.close()
        self.send(b'{"do": "end"}\n')
        deadline = time.monotonic() + LEAVE
        with suppress(Exception):
            while self._more(deadline - time.monotonic()):
                pass
        self._stream.close()

    def _stay_alive(self) -> None:
        """Say now and then that we are here, also while files are copied: the phone's lease goes by that."""
        while not self._left.wait(ALIVE):
            self.send(b"\n")

    def _more(self, seconds: float) -> bytes:
        """What comes next, nothing at the end; TimeoutError after `seconds`."""
        self._stream.conn.settimeout(max(0.001, seconds))
        try:
            data: bytes = self._stream.conn.recv(65536)
        except ConnectionError:
            return b""
        return data

    def _why_ended(self) -> str:
        """Android has no Python of its own: that the command never answered most likely means so."""
        output = self._unread.decode(errors="replace").strip() or self._said
        if self._answered:
            return f"the connection to {self._name} was lost"
        return f"Python cannot be started on {self._name}: {output}; Android has none, so name one there with `python`"


class _Files:
    """The phone's file service, all files over one connection, each piece as large as the service takes.

    Source: AOSP, packages/modules/adb, SYNC.TXT.
    """

    def __init__(self, device: Any) -> None:
        """The phone as adbutils knows it."""
        self._device = device
        self._stream: Any = None

    def push(self, local: Path, remote: str) -> None:
        """Copy a file there; ValueError with the phone's words where it refuses."""
        self._stream = self._stream or self._opened()
        try:
            self._send(self._stream, local, remote)
        except BaseException:
            self.close()  # bytes may be under way
            raise

    @staticmethod
    def _send(stream: Any, local: Path, remote: str) -> None:
        name = f"{remote},{stat.S_IFREG | 0o600}".encode()
        stream.conn.sendall(_word(b"SEND", len(name)) + name)
        with local.open("rb") as file:
            while piece := file.read(_PIECE):
                stream.conn.sendall(_word(b"DATA", len(piece)) + piece)
        stream.conn.sendall(_word(b"DONE", int(time.time())))
        said, length = struct.unpack("<4sI", stream.read_exact(8))
        if said != b"OKAY":
            raise ValueError(stream.read_exact(length).decode(errors="replace"))

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> Any:
        stream = self._device.open_transport(timeout=None)
        stream.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each file waits 40 ms
        stream.send_command("sync:")
        stream.check_okay()
        return stream


def _word(kind: bytes, number: int) -> bytes:
    """What the file service is told: four letters and a number, a length or a time."""
    return struct.pack("<4sI", kind, number)


def find(serial: str) -> Any:
    """The phone of this serial number, or the only one; DeviceError where there is none, or too many."""
    adbutils = load("adbutils", "adb")
    client = adbutils.AdbClient()
    states = {phone.serial: phone.state for phone in client.list()}
    if serial and serial not in states:
        raise DeviceError(f"no phone {serial}; there is {', '.join(states) or 'none at all'}")
    if not states:
        raise DeviceError("no phone: plug one in and allow USB debugging, or `adb connect` it")
    if not serial and len(states) > 1:
        raise DeviceError(f"several phones, {', '.join(states)}: name one with `serial`")
    name = serial or next(iter(states))
    if states[name] != "device":
        raise DeviceError(f"phone {name} {STATES.get(states[name], f'is in state {states[name]!r}')}")
    return client.device(name)


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Make DeviceErrors of what adbutils raises."""
    adbutils = load("adbutils", "adb")
    try:
        yield
    except (adbutils.AdbError, OSError, ValueError, EOFError) as error:
        raise DeviceError(f"{what}: {error}") from None
