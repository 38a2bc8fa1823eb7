"""One SSH connection: the supervisor's channel, one for files, and the check of the host's key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from edgebuild.devices._ssh_trust import Address, Trust
from edgebuild.devices.jobs.remote import CONNECT, SHIP, load
from edgebuild.spec.errors import DeviceError

T = TypeVar("T")

LOGIN = 10.0  # seconds for the whole hand-shake
ALIVE = 10.0  # seconds between signs of life, in both directions
LEAVE = 15.0  # seconds given to the device to clean up
NO_PROGRAM = (126, 127)  # a shell's exit codes for a program that is absent or cannot be executed


class Link:
    """A `remote.Link` over SSH."""

    def __init__(self, address: Address, command: str) -> None:
        """Connect and start the command; DeviceError with one line when that fails."""
        load("asyncssh", "ssh")
        self._address, self._loop = address, asyncio.Runner()
        self._connection: Any = None
        try:
            self._do(asyncio.wait_for(self._open(command), LOGIN))
        except TimeoutError:
            self.close()
            raise DeviceError(f"{address} does not answer") from None
        except BaseException:
            self.close()
            raise

    def send(self, line: bytes) -> None:
        """Give the command a line; if it has ended, `receive` knows why."""
        with suppress(OSError):
            self._process.stdin.write(line)

    def receive(self, timeout: float) -> bytes:
        """The next line that the command prints."""
        line: bytes = self._do(asyncio.wait_for(self._process.stdout.readline(), timeout))
        if not line:
            raise DeviceError(self._do(self._last_words()))
        return line

    def push(self, local: Path, remote: str) -> None:
        """Copy a file there."""
        self._do(_within(SHIP, self._files.put(os.fsencode(local), remote.encode(errors="surrogateescape"))))

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file here."""
        self._do(_within(SHIP, self._files.get(remote.encode(errors="surrogateescape"), os.fsencode(local))))

    def close(self) -> None:
        """End the command's input, which makes it clean up, and hang up."""
        with suppress(Exception):
            self._do(asyncio.wait_for(self._leave(), LEAVE))
        self._loop.close()

    async def _open(self, command: str) -> None:
        import asyncssh

        trust = Trust(self._address)
        try:
            self._connection = await asyncssh.connect(**self._options(trust))
        except asyncssh.HostKeyNotVerifiable:
            raise DeviceError(trust.why_refused(), hint=trust.what_to_do()) from None
        except asyncssh.PermissionDenied:
            raise DeviceError(
                f"{self._address} refuses the log-in", hint=f"does `{self._address.login}` work?"
            ) from None
        try:
            self._files = await self._connection.start_sftp_client()
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError):
            raise DeviceError(f"{self._address} has no SFTP server", hint="install openssh-sftp-server there") from None
        self._process = await self._connection.create_process(command, encoding=None)
        self._beat = asyncio.create_task(self._stay_alive())

    def _options(self, trust: Trust) -> dict[str, Any]:
        """Only what was declared: for all else, ~/.ssh/config speaks."""
        address = self._address
        named: dict[str, Any] = {"port": address.port} if address.port != 22 else {}
        named |= {"username": address.user} if address.user else {}
        named |= {"client_keys": [str(Path(address.key).expanduser())]} if address.key else {}
        return named | {
            "host": address.host,
            "known_hosts": trust.match,
            "client_factory": trust.client,
            "connect_timeout": CONNECT,
            "login_timeout": LOGIN,
            "keepalive_interval": ALIVE,
            "keepalive_count_max": 3,
        }

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE)
            self.send(b"\n")

    async def _last_words(self) -> str:
        """Why the command has ended before its time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait_closed(), CONNECT)
        lines = (await self._process.stderr.read()).decode(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        code = self._process.exit_status
        if code in NO_PROGRAM:
            return f"Python cannot be started on {self._address}{last}"
        if code is not None:
            return f"on {self._address} the job's supervisor ended with code {code}{last}"
        return f"the connection to {self._address} was lost{last}"

    async def _leave(self) -> None:
        if self._connection is None:
            return
        with suppress(Exception):
            self._beat.cancel()
            self._process.stdin.write_eof()
            await self._process.wait_closed()
        self._connection.close()
        await self._connection.wait_closed()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, whose errors become DeviceErrors; time-outs stay what they are."""
        import asyncssh

        try:
            return self._loop.run(work)
        except (TimeoutError, DeviceError):
            raise
        except (OSError, ValueError, asyncssh.Error) as error:
            raise DeviceError(f"{self._address}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What went wrong, without asyncio's tuples of addresses."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        file = f": {error.filename}" if error.filename else ""
        return f"{os.strerror(error.errno)}{file}"
    import asyncssh

    reason = (
        error.strerror if isinstance(error, OSError) else error.reason if isinstance(error, asyncssh.Error) else None
    )
    return reason or str(error) or type(error).__name__


async def _within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        raise DeviceError(f"a file did not get across within {seconds:g} s") from None
