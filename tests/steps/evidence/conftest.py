"""The emulated Raspberry Pi 4, set up where it is not yet."""

from __future__ import annotations

import pytest

from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import Qemu, cache_folder
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Hardware
from tests import ROOT


@pytest.fixture(scope="session")
def hardware() -> Hardware:
    """A Raspberry Pi 4, as the shipped target describes it."""
    return open_project(ROOT).target("rpi4").hardware


@pytest.fixture(scope="session")
def pi(hardware: Hardware) -> Qemu:
    """The emulator of it, on a few examples."""
    sysroot.prepare(cache_folder())
    return Qemu(examples=24).attach(hardware)
