"""Runs a Python script on the emulated ARM device, inside limits, leaving no process behind.

Time measured under the emulator says nothing about the device; see counted.py.
"""

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebuild.devices.emulation import host
from edgebuild.devices.emulation.commands import launched
from edgebuild.devices.emulation.cpu_profile import CacheLevel
from edgebuild.devices.emulation.sysroot import Emulator
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.surroundings import SINGLE

STDOUT, STDERR = "stdout.txt", "stderr.txt"
_PYTHON = "usr/bin/python3.11"
# One thread in every numeric library and a fixed hash order: what is counted must repeat.
_ENVIRONMENT = SINGLE | {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may use: guest address space (bytes), CPU time and wall time of the emulator (seconds)."""

    memory_bytes: int
    cpu_s: float = 3600.0
    wall_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class Counting:
    """Ask for counted work: the file to write, and the caches to model (none: only instructions)."""

    output: Path
    caches: Sequence[CacheLevel] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """An emulated device: the emulator, the CPU's name for it, and the root folder that CPU sees."""

    emulator: Emulator
    cpu: str
    root: Path
    limits: Limits


@dataclass(frozen=True, slots=True)
class Finished:
    """Files with what a job wrote, and the CPU time of the emulator (seconds; a cost, never a latency)."""

    stdout: Path
    stderr: Path
    cpu_s: float


def execute(
    job: Path,
    device: Device,
    script: Path,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    counting: Counting | None = None,
) -> Finished:
    """Run `script` with `arguments` on the device, in the folder `job`, to its end.

    Standard output and error go to stdout.txt and stderr.txt in `job`. The guest sees the device's root over the
    host's files, none of the host's environment, and may not leave processes behind.

    Raises:
        DeviceError: it was killed (the message names the signal), exceeded a limit, or ended with a non-zero code.
    """
    job = job.resolve()
    command = _command(device, script, arguments, counting)
    stdout, stderr = job / STDOUT, job / STDERR
    with stdout.open("wb") as out, stderr.open("wb") as err:
        try:
            process = subprocess.Popen(
                command,
                cwd=job,
                env=_guest_environment(device, environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"{_title(job, device)}: cannot start: {error}") from error
        in_time, cpu_s = _finish(process, device.limits.wall_s)
    if not in_time:
        raise DeviceError(f"{_title(job, device)}: not ended after {device.limits.wall_s:.0f} s")
    if process.returncode:
        raise DeviceError(f"{_title(job, device)}: {_cause(process.returncode, stderr, device.limits)}")
    return Finished(stdout, stderr, cpu_s)


def _command(device: Device, script: Path, arguments: Sequence[str], counting: Counting | None) -> list[str]:
    cpu_s = max(1, int(device.limits.cpu_s))
    emulator = device.emulator.qemu if counting else device.emulator.runner
    command = [*launched(cpu_s), *host.command(emulator, device.emulator.libraries)]
    command += ["-cpu", device.cpu, "-R", f"{device.limits.memory_bytes:#x}"]
    command += ["-L", str(device.root), "-U", "LD_LIBRARY_PATH"]
    if counting:
        command += ["-plugin", _plugin(device.emulator.plugin, counting)]
    return [*command, str(device.root / _PYTHON), str(script.resolve()), *arguments]


def _plugin(plugin: Path, counting: Counting) -> str:
    values = [str(plugin), f"out={counting.output.resolve()}"]
    values += [f"{cache.name}={cache.size_bytes}:{cache.ways}" for cache in counting.caches]
    return ",".join(value.replace(",", ",,") for value in values)  # QEMU's own way to write a comma inside a value


def _guest_environment(device: Device, more: Mapping[str, str]) -> dict[str, str]:
    """HOME is the job's folder by a name of one length: longer texts on the stack move counts by up to 0.07 %."""
    own = {"HOME": ".", "PYTHONPATH": str(device.emulator.site)}
    return {**_ENVIRONMENT, **more, **own, **_for_our_python()}


def _for_our_python() -> dict[str, str]:
    """What the Python that launches the emulator may need to start, and the guest never sees."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _finish(process: subprocess.Popen[bytes], wall_s: float) -> tuple[bool, float]:
    """Wait, then kill the whole group; return whether it ended by itself and its CPU time in seconds.

    The group is killed before its leader is reaped: until then the group's number cannot be given to another.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], wall_s)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        os.close(descriptor)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return bool(ended), usage.ru_utime + usage.ru_stime


def _title(job: Path, device: Device) -> str:
    return f"job {job.name} on emulated {device.cpu}"


def _cause(returncode: int, stderr: Path, limits: Limits) -> str:
    """Why the guest ended: the signal's name, or the last line it wrote, such as Python's exception."""
    lines = [line for line in stderr.read_text(errors="replace").splitlines() if line.strip()]
    messages = [line for line in lines if not line.startswith("qemu: uncaught target signal")]
    last = messages[-1].strip() if messages else "no message"
    if returncode == -signal.SIGXCPU:
        return f"used more than {limits.cpu_s:.0f} s of CPU time"
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name} ({last})"
    return f"exit code {returncode}: {last}"
