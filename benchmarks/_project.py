"""The targets of this checkout, and the emulator that every benchmark here needs."""

from __future__ import annotations

from pathlib import Path

from edgebuild.devices.qemu import Qemu
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Target


def target(name: str) -> Target:
    """A target whose emulated device is ready; DeviceError where it is not."""
    found = open_project(Path(__file__).resolve().parent.parent).target(name)
    reason = Qemu().attach(found.hardware).why_unusable()
    if reason is not None:
        raise DeviceError(reason)
    return found
