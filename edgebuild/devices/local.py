"""This machine as a device: the runner in a child process of its own."""

from __future__ import annotations

import os
import select
import signal
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.surroundings import SINGLE
from edgebuild.spec.target import Fidelity, Hardware
from edgebuild.travels import runner_device

STABLE = ("machine", "board", "cpu", "microcode", "cores", "kernel", "governor")

# Only these reach the runner.  PYTHON* variables are left out (and ignored by -E); the library paths are how
# CUDA and conda installations are found.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Local(Device):
    """This machine, with the packages of the Python that runs edgebuild."""

    transport: ClassVar[str] = "local"

    def why_unusable(self) -> str | None:
        """None: where this program runs, its runner runs (a missing runtime is reported by the job)."""
        return None if sys.executable else "the path of the Python interpreter is unknown"

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """The real thing for a target that *is* this machine; for any other, real time on another core."""
        return "hardware" if hardware.arch == "host" else "host"

    def fingerprint(self) -> dict[str, str]:
        """The facts named in STABLE, "unknown" where the machine does not tell."""
        facts = runner_device.fingerprint()
        return {name: "unknown" if facts[name] is None else str(facts[name]) for name in STABLE}

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the job in its own process group, killed whole at `timeout` seconds; see `Device.execute`.

        What the runner prints is in `runner.stdout` and `runner.stderr` of the folder.
        """
        from edgebuild.devices.jobs import outcome

        unusable = self.why_unusable()
        if unusable:
            raise DeviceError(unusable)
        outcome.clear(job)
        outcome.check(job, _run(_command(job), job, timeout))


def _command(job: Path) -> list[str]:
    """The runner's argument vector.

    -E and -P keep PYTHONPATH, the working directory and the runner's own folder (whose `errors.py` could hide
    another) out of sys.path; the virtual environment's packages stay.  Not -I: it would also drop the user's
    own site-packages, where the runtime may be installed.
    """
    from edgebuild.travels import runner

    user_site = [] if site.ENABLE_USER_SITE else ["-s"]
    flags = ["-E", "-P", "-B", *user_site, "-X", "faulthandler"]
    return [sys.executable, *flags, str(Path(runner.__file__).resolve()), str(job.resolve())]


def _environment() -> dict[str, str]:
    """The few variables that the runner gets."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | SINGLE


def _run(command: list[str], job: Path, timeout: float) -> int:
    """Exit code of the command; its process group does not outlive this call."""
    from edgebuild.devices.jobs import outcome

    with (job / outcome.STDOUT).open("wb") as out, (job / outcome.STDERR).open("wb") as err:
        process = subprocess.Popen(
            command, cwd=job, env=_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        end = os.pidfd_open(process.pid)
        try:
            in_time, _, _ = select.select([end], [], [], timeout)
        finally:  # also at Ctrl-C; before it is reaped, since until then the number of its group is its own
            os.close(end)
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
    if not in_time:
        raise DeviceError(f"no result within {timeout:g} s")
    return code
