"""A job's way to a remote device and back: every file compared by digest, nothing taken but the results."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edgebuild.devices.jobs import outcome
from edgebuild.devices.jobs.remote import SHIP, Session
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.units import show_bytes

_RETURNED = re.compile(r"result\.json|runner\.stdout|runner\.stderr|[A-Za-z0-9][\w.-]*\.outputs\.npz", re.ASCII)


def execute(session: Session, job: Path, timeout: float) -> None:
    """Send the job, run it, bring the results back; see `Device.execute`."""
    _send(session, job)
    code = session.run([f"{session.folder}/job"], "job/runner", timeout)
    free = _fetch(session, job)
    try:
        outcome.check(job, code)
    except DeviceError as error:
        hint = f"only {show_bytes(free)} free on the device" if free < 1 << 20 else None
        raise DeviceError(error.reason, hint=hint) from None


def folders(job: Path) -> list[str]:
    """The folders below `job`, which must exist on the device before files can travel into them."""
    return [f"job/{path.relative_to(job)}" for path in sorted(job.rglob("*")) if path.is_dir()]


def _send(session: Session, job: Path) -> None:
    """Every file of the job, compared by digest on arrival."""
    files = {str(path.relative_to(job)): path for path in sorted(job.rglob("*")) if path.is_file()}
    size = sum(path.stat().st_size for path in files.values())
    if size > session.free:
        there = f"{show_bytes(session.free)} free in {os.path.dirname(session.folder)}"
        raise DeviceError(f"the job needs {show_bytes(size)} on the device, which has {there}")
    for name, path in files.items():
        session.push(path, f"job/{name}")
    there = session.ask("files", SHIP)["files"]
    for name, path in files.items():
        if name not in there or there[name][1] != sha256.of_file(path):
            raise DeviceError(f"{name} did not arrive on the device as it was sent")


def _fetch(session: Session, job: Path) -> int:
    """The results and nothing else, compared by digest; bytes free on the device."""
    there = session.ask("files", SHIP)
    for name, (_, digest) in there["files"].items():
        if _RETURNED.fullmatch(name):
            part = job / f"{name}.part"
            session.link.pull(f"{session.folder}/job/{name}", part)
            if sha256.of_file(part) != digest:
                raise DeviceError(f"{name} did not come back from the device as it was written")
            part.replace(job / name)
    return int(there["free"])
