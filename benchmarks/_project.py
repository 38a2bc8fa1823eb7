"""Projects and targets that benchmarks build with, and the emulator that most of them need."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgebuild.devices.qemu import Qemu
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.target import Target

ROOT = Path(__file__).resolve().parent.parent
_NOT_CODE = shutil.ignore_patterns("__*")


def target(name: str) -> Target:
    """A target whose emulated device is ready; DeviceError where it is not."""
    profile = open_project(ROOT).target(name)
    reason = Qemu().attach(profile.hardware).why_unusable()
    if reason is not None:
        raise DeviceError(reason)
    return profile


def digits(folder: Path, *, small: bool) -> Project:
    """A project in `folder` with the model `digits`: the product's own, or a small one that trains in seconds."""
    place = folder / "models" / "digits"
    if small:
        shutil.copytree(ROOT / "benchmarks" / "small" / "digits", place, ignore=_NOT_CODE)
        shutil.copyfile(ROOT / "models" / "digits" / "model.py", place / "full.py")
    else:
        shutil.copytree(ROOT / "models" / "digits", place, ignore=_NOT_CODE)
    return open_project(folder)
