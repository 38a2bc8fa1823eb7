"""Devices to run the contract on, each with a way to see what is left on it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from edgebuild.devices.adb import Adb
from edgebuild.devices.emulation import sysroot
from edgebuild.devices.emulation.sysroot import Emulator
from edgebuild.devices.local import Local
from edgebuild.devices.qemu import Qemu, cache_folder
from edgebuild.devices.ssh import Ssh
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Hardware
from tests import ROOT
from tests.devices.adbd import SERIAL
from tests.devices.sshd import Sshd

MARK = "EDGEBUILD_TEST_PLACE"
# Over adb the tests run in a namespace of their own: see test_adb.py.
WHERE = os.environ.get("EDGEBUILD_TEST_DEVICES", "local ssh qemu").split()


@dataclass(frozen=True)
class Place:
    """A device whose jobs live in `folder` and whose processes can be told from others."""

    device: Any
    folder: Path

    def change(self, **options: Any) -> Any:
        return dataclasses.replace(self.device, **options)

    @property
    def remote(self) -> bool:
        return isinstance(self.device, Ssh | Adb)

    def leftovers(self) -> list[str]:
        """Files and processes on the device, once it has had ten seconds to be rid of them."""
        for _ in range(200):
            left = [*map(str, self.folder.iterdir()), *processes(str(self.folder))]
            if not left:
                break
            time.sleep(0.05)
        return left

    def wait_for(self, name: str) -> Path:
        """A file that a job makes in its folder on the device, once it holds something."""
        for _ in range(1200):
            found = [path for path in self.folder.parent.rglob(name) if path.read_bytes()]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no {name} on the device")


def make(kind: str, root: Path, sshd: Callable[[], Sshd]) -> Place:
    """A device of this kind, its files below `root`; its Python marks every process that it starts."""
    folder = root / "device"
    folder.mkdir()
    if kind == "local":
        return Place(Local(), folder)
    if kind == "qemu":
        ready()
        return Place(Qemu().attach(pi()), folder)
    python = wrapper(root / "python", folder)
    device: Device
    if kind == "ssh":
        device = Ssh(**sshd().options, python=str(python), folder=str(folder))  # type: ignore[arg-type]
    else:
        device = Adb(serial=SERIAL, python=str(python), folder=str(folder))
    return Place(device, folder)


def pi() -> Hardware:
    """The shipped Raspberry Pi 4."""
    return open_project(ROOT).target("rpi4").hardware


def ready() -> Emulator:
    """The emulator, set up where it is not yet; the test is skipped where it cannot be had."""
    try:
        return sysroot.prepare(cache_folder())
    except DeviceError as error:
        pytest.skip(error.reason)


def emulated(path: Path, folder: Path) -> Path:
    """A program that is the emulated Raspberry Pi's Python.

    Its packages are found by PYTHONPATH, which -E would have it ignore: a board's Python has them in itself.
    """
    found, device = ready(), Qemu().attach(pi())
    root = device._root()
    words = [str(found.qemu), "-cpu", "cortex-a72", "-R", "0x100000000", "-L", str(root), "-U", "LD_LIBRARY_PATH"]
    words.append(str(root / "usr/bin/python3.11"))
    then = (
        'for word; do shift; [ "$word" = -E ] || set -- "$@" "$word"; done\n'
        f"export LD_LIBRARY_PATH={quote(str(found.libraries))} PYTHONPATH={quote(str(found.site))}\n"
        f'exec {" ".join(map(quote, words))} "$@"'
    )
    return wrapper(path, folder, then)


def wrapper(path: Path, folder: Path, then: str = f'exec {quote(sys.executable)} "$@"') -> Path:
    """A program that is this Python, with the place in its environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    locks = quote(os.environ["EDGEBUILD_LOCKS"])
    path.write_text(f"#!/bin/sh\nexport {MARK}='{folder}' EDGEBUILD_LOCKS={locks}\n{then}\n")
    path.chmod(0o755)
    return path


def processes(place: str) -> dict[str, list[str]]:
    """Processes of a device by number, with their words: those with its mark, or its job's folder as one or theirs."""
    found, job = {}, str(Path(place).parent / "job")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (entry / "environ").read_bytes().split(b"\0")
            works_in = os.readlink(entry / "cwd")
        except OSError:
            continue
        if f"{MARK}={place}".encode() in environment or any(word.startswith(job) for word in [works_in, *words]):
            found[entry.name] = words
    return found


def client(place: Place, job: Path, runner: str) -> subprocess.Popen[bytes]:
    """Another process that executes the job on the place."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom edgebuild.travels import runner\n"
        f"from edgebuild.devices.{place.device.transport} import {type(place.device).__name__}\n"
        f"runner.__file__ = {runner!r}\n"
        f"{place.device!r}.execute(Path({str(job)!r}), timeout=120)"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
