"""Gathers what runs on this machine: the emulator, LLVM's tools, a Python, and all libraries that they load."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from edgebuild.devices.emulation.debs import unpack
from edgebuild.devices.emulation.host import Host
from edgebuild.spec.errors import DeviceError

# qemu-user of Debian 12 is linked dynamically and so can load plugins; the backport (10.0) is static and cannot.
# LLVM 19 tells neoverse-n1 and cortex-a72 apart, LLVM 16 gives the same cycles for both. Python compiles the emulated
# system's files, so that these do not depend on the version that runs us.
PACKAGES = ("qemu-user", "llvm-19", "python3.11-minimal")
PROGRAMS = (
    *("usr/bin/qemu-aarch64", "usr/lib/llvm-19/bin/llvm-mc", "usr/lib/llvm-19/bin/llvm-mca"),
    "usr/bin/python3.11",
)


def library_folders(host: Host) -> tuple[str, ...]:
    """Where packages of Debian 12 have their shared libraries."""
    return (f"lib/{host.triplet}", f"usr/lib/{host.triplet}")


def gather(packages: Iterable[Path], tree: Path, host: Host, programs: tuple[str, ...] = PROGRAMS) -> None:
    """Fill `tree` with `bin/` (the programs) and `lib/` (all libraries of the packages, and the loader).

    Raises:
        DeviceError: a package is damaged or lacks a program.
    """
    folders = library_folders(host)

    def place(name: str) -> str | None:
        path = PurePosixPath(name)
        if name in programs:
            return f"bin/{path.name}"
        return f"lib/{path.name}" if str(path.parent) in folders and ".so" in path.name else None

    for package in packages:
        unpack(package, tree, place)
    for name in (*(f"bin/{Path(program).name}" for program in programs), f"lib/{host.loader}"):
        if not (tree / name).is_file():
            raise DeviceError(f"emulator set-up: no package holds {name}")
