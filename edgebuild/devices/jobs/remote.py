"""What every remote device does the same way: a job travels there, runs under the supervisor, and comes back whole.

A transport brings a `Link`.  Names of files, folders and programs reach the device only as data: in the
supervisor's JSON or in the transport's own file protocol, never in a shell's command line.
"""

from __future__ import annotations

import getpass
import importlib
import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgebuild import travels
from edgebuild.devices.jobs import outcome
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.surroundings import SINGLE
from edgebuild.spec.units import show_bytes
from edgebuild.spec.waiting import waiting_for
from edgebuild.travels import runner, supervisor

CONNECT, ANSWER, SHIP = 5.0, 60.0, 3600.0  # seconds to connect, to answer a small question, to move a file
LEASE = 60.0  # seconds that a device stays ours without a sign of life; links give one every 10 s
NEEDED = (3, 9)
# -I: nothing of the user's shell or folder reaches the supervisor.  It reads byte by byte, so that nothing of the
# requests behind it is lost.
_BOOT = 'import json; exec(json.loads(open(0, "rb", 0, closefd=False).readline()))'


class Link(Protocol):
    """A connection whose other end runs `command(python)`.  All raise DeviceError when it is lost or too slow."""

    def send(self, line: bytes) -> None:
        """Give a line, with its end, to the command's input."""
        ...

    def receive(self, timeout: float) -> bytes:
        """The next line of its output; TimeoutError when there is none within `timeout` seconds."""
        ...

    def push(self, local: Path, remote: str) -> None:
        """Copy a file there; `remote` is absolute and its folder exists."""
        ...

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file here."""
        ...

    def close(self) -> None:
        """End the command's input, give it time to clean up, and leave; never raises."""
        ...


def load(package: str, extra: str) -> Any:
    """A transport's package; DeviceError that says how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DeviceError(f"{package} is not installed: {error}", hint=f"pip install 'edgebuild[{extra}]'") from None


def command(python: str) -> str:
    """The one command line that a device's shell ever sees; its only variable word is `python`, quoted."""
    home = "~/" if python.startswith("~/") else ""
    return f"{home}{shlex.quote(python.removeprefix(home))} -I -B -c {shlex.quote(_BOOT)}"


@dataclass(frozen=True, slots=True)
class Session:
    """A supervisor that stands by in its private `folder` on the device, with `free` bytes."""

    link: Link
    python: str
    folder: str
    free: int

    def ask(self, do: str, timeout: float = ANSWER, **request: Any) -> dict[str, Any]:
        """The supervisor's answer to one request; DeviceError when it refuses or does not come."""
        return _ask(self.link, {"do": do, **request}, timeout, f"no answer from the device within {timeout:g} s")

    def alone(self, device: str) -> None:
        """Wait until the device is this session's alone, which it stays to the end, however that comes.

        Its lock is on the device itself: whoever measures there, from whichever machine and by whichever name, has the
        same one. Beside it lies who has it, and for how long without a sign of life (`supervisor.py`).
        """
        answer = self.ask("lock", name=device, by=_whoami(), seconds=LEASE)
        if answer["locked"]:
            return
        with waiting_for(f"device {device}", _holder(device, answer.get("holder", {}))):
            while not _turn_has_come(self.link):
                pass

    def push(self, local: Path, name: str) -> None:
        """Copy a file into the folder; a full disk is named as such."""
        try:
            self.link.push(local, f"{self.folder}/{name}")
        except DeviceError as error:
            free = self.ask("files")["free"]  # a lost connection tells so itself
            raise DeviceError(f"{local.name}: {error.reason}", hint=f"{show_bytes(free)} free there") from None

    def run(self, words: list[str], name: str, timeout: float) -> int:
        """Exit code of the runner with these arguments; what it prints is in the folder, in `name`.stdout, .stderr.

        The runner and the loaders are alone in their own folder, so that nothing beside them can hide a package; the
        working folder is the job's.
        """
        argv = [self.python, "-E", "-B", "-X", "faulthandler", f"{self.folder}/runner/runner.py", *words]
        streams = {"stdout": f"{name}.stdout", "stderr": f"{name}.stderr"}
        request = {"do": "run", "argv": argv, "env": SINGLE, "cwd": "job", **streams}
        answer = _ask(self.link, request, timeout, f"no result within {timeout:g} s")
        return outcome.exit_code(int(answer["code"]))

    def facts(self) -> dict[str, Any]:
        """What the runner says of the device: `fingerprint`, `host`, `python`, `packages`."""
        code = self.run(["--fingerprint"], "facts", ANSWER)
        if code != 0:
            lines = self.ask("read", path="facts.stderr")["text"].strip().splitlines()
            raise DeviceError(f"the runner ended with code {code}: {lines[-1] if lines else 'no message'}")
        facts: dict[str, Any] = json.loads(self.ask("read", path="facts.stdout")["text"])
        return facts


@contextmanager
def session(link: Link, python: str, base: str, folders: list[str], patience: float | None) -> Iterator[Session]:
    """A supervisor with the runner in place; whatever happens, it is told to clean up in the end.

    Raises DeviceError where Python is absent or too old, or no folder can be made in `base`.
    """
    try:
        source = Path(supervisor.__file__).read_text(encoding="utf-8")
        link.send(json.dumps(source).encode() + b"\n")
        request = {"do": "open", "base": base, "folders": ["runner", "job", *folders], "patience": patience}
        opened = _ask(link, request, ANSWER, f"{python} on the device does not start within {ANSWER:g} s")
        if tuple(opened["python"]) < NEEDED:
            raise DeviceError(f"{python} on the device is Python {opened['python'][0]}.{opened['python'][1]}, not 3.9")
        ready = Session(link, python, str(opened["folder"]), int(opened["free"]))
        ready.push(Path(runner.__file__), "runner/runner.py")
        for name in travels.RUNNER[1:]:
            ready.push(travels.file(name), f"runner/{name}")
        yield ready
    finally:
        link.close()


def _whoami() -> str:
    """Who measures, as those who wait for us are told."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def _holder(device: str, holder: Mapping[str, str]) -> str:
    """Who has the device, and how it is called there where that is another name."""
    by, name = (_printable(holder.get(key, "")) for key in ("by", "name"))
    called = f" as {name}" if name and name != device else ""
    return f"{by}{called}" if by else ""


def _printable(text: object) -> str:
    return "".join(each for each in str(text) if each.isprintable())[:80]


def _turn_has_come(link: Link) -> bool:
    """Whether the lock has come within a minute; DeviceError when the connection is lost meanwhile."""
    try:
        return bool(_answer(link.receive(ANSWER)).get("locked"))
    except TimeoutError:
        return False


def _ask(link: Link, request: dict[str, Any], timeout: float, late: str) -> dict[str, Any]:
    """The answer to a request; DeviceError with `late` when there is none within `timeout` seconds."""
    link.send(json.dumps(request).encode() + b"\n")
    deadline = time.monotonic() + timeout
    while True:
        try:
            answer = _answer(link.receive(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            raise DeviceError(late) from None
        if "error" in answer:
            raise DeviceError(f"on the device: {answer['error']}")
        if answer:
            return answer


def _answer(line: bytes) -> dict[str, Any]:
    """What a line of the device says; nothing, where it is of a chatty shell."""
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
