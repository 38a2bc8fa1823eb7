"""Compiles Python files once here instead of at each start in the emulator: bytecode is the same on every CPU."""

from pathlib import Path

from edgebuild.devices.emulation import host
from edgebuild.devices.emulation.commands import run

VERSION = "3.11"  # of the emulated system, Debian 12
# No times inside: the same bytes every time.
OPTIONS = ("--invalidation-mode", "unchecked-hash", "-q", "-q")


def compile_folder(folder: Path, tools: Path, system: Path) -> None:
    """Compile all Python files below `folder`, by a Python of the emulated one's version.

    Args:
        folder: what to compile.
        tools: the tree of the host's tools, which has that Python's program.
        system: the root of the emulated system, which has its library.

    Raises:
        DeviceError: it fails.
    """
    own = {"PYTHONHOME": str(system / "usr"), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    own |= {"PYTHONDONTWRITEBYTECODE": "1"}  # what it loads itself is compiled as the rest is, not with times inside
    python = host.command(tools / f"bin/python{VERSION}")
    run([*python, "-S", "-m", "compileall", *OPTIONS, "-s", folder, folder], what="compiling Python files", env=own)
