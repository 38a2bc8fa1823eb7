"""Shared by the tests: profiles of two cores, and the emulator, set up where it is not yet."""

import shutil
from pathlib import Path

import pytest

from edgebuild.devices.emulation import compiler, pinned
from edgebuild.devices.emulation.cpu_profile import CacheLevel, CpuProfile, view
from edgebuild.devices.emulation.emulator import Device, Limits
from edgebuild.devices.emulation.host import this_host
from edgebuild.devices.emulation.supply import Network
from edgebuild.devices.emulation.sysroot import Emulator, prepare
from edgebuild.devices.qemu import cache_folder

_KIB = 1024

A72 = CpuProfile(
    cpu="cortex-a72",
    implementer=0x41,
    part=0xD08,
    variant=0,
    revision=3,
    features=("fp", "asimd", "evtstrm", "crc32", "cpuid"),
    cores=4,
    clock_hz=1_500_000_000,
    ram_bytes=4 << 30,
    caches=(
        CacheLevel(1, "Data", 32 * _KIB, 2),
        CacheLevel(1, "Instruction", 48 * _KIB, 3),
        CacheLevel(2, "Unified", 1024 * _KIB, 16, shared_by=4),
    ),
    board="Raspberry Pi 4 Model B Rev 1.1",
)
A76 = CpuProfile(
    cpu="cortex-a76",
    implementer=0x41,
    part=0xD0B,
    variant=4,
    revision=1,
    features=tuple(
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp".split()
    ),
    cores=4,
    clock_hz=2_400_000_000,
    ram_bytes=8 << 30,
    caches=(
        CacheLevel(1, "Data", 64 * _KIB, 4),
        CacheLevel(1, "Instruction", 64 * _KIB, 4),
        CacheLevel(2, "Unified", 512 * _KIB, 8),
        CacheLevel(3, "Unified", 2048 * _KIB, 16, shared_by=4),
    ),
    board="Raspberry Pi 5 Model B Rev 1.0",
)


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's own cache, as `make run` sets it up."""
    return cache_folder()


@pytest.fixture(scope="session")
def emulator(cache: Path) -> Emulator:
    return prepare(cache)


@pytest.fixture(scope="session")
def cc(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """This machine's C compiler, which is quicker to have, or where there is none the plugin's."""
    if own := shutil.which("cc"):
        return [own]
    folder, files = tmp_path_factory.mktemp("compiler"), pinned.group(pinned.COMPILER.format(this_host().machine))
    Network().fetch(files, folder)
    program = compiler.unpack([folder / each.name for each in files], folder / "tree")
    return [str(program), "cc", "-fno-sanitize=undefined"]


@pytest.fixture(params=[A72, A76], ids=lambda profile: profile.cpu)
def profile(request: pytest.FixtureRequest) -> CpuProfile:
    return request.param


@pytest.fixture
def device(cache: Path, emulator: Emulator) -> Device:
    return Device(emulator, A72.cpu, view(cache, A72, emulator.system), Limits(A72.ram_bytes, cpu_s=120))
