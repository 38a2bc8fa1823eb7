"""Compiles the counting plugin with a compiler of its own, so that it is the same on every machine, gcc there or not.

The compiler is Zig's (clang, with glibc's headers and symbols), which comes as a Python package; it is thrown away
after the set-up.
"""

import os
from pathlib import Path

from edgebuild.devices.emulation import wheels
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec import sha256

PACKAGE = "ziglang==0.17.1"
# glibc of Debian 12; strict, since a warning can only come from a change of ours: the compiler is always this one.
FLAGS = (
    *("-target", "x86_64-linux-gnu.2.36", "-mcpu=x86_64_v2", "-std=c11", "-O2"),
    *("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"),
    *("-shared", "-fPIC", "-fvisibility=hidden", "-s"),
)


def sources() -> list[Path]:
    """The C files of the counting plugin, the one to compile first."""
    return sorted(Path(__file__).parent.glob("plugin*.[ch]"))


def recipe() -> dict[str, object]:
    """All that decides the plugin's bytes."""
    return {
        "sources": {each.name: sha256.of_file(each) for each in sources()},
        "compiler": PACKAGE,
        "flags": list(FLAGS),
    }


def fetch(scratch: Path) -> tuple[Path, list[Download]]:
    """The compiler, unpacked below `scratch`, and what was downloaded for it.

    Raises:
        DeviceError: pip is missing, or the index cannot be reached or does not have it.
    """
    folder, tree = scratch / "wheels", scratch / "tree"
    folder.mkdir(parents=True)
    wheels.download([PACKAGE], folder, "--no-deps", what="C compiler of the emulator's plugin")
    wheels.unpack(folder, tree)
    program = tree / "ziglang" / "zig"
    program.chmod(0o755)  # zipfile drops the mode
    return program, wheels.listed(folder)


def compile_plugin(program: Path, source: Path, output: Path) -> None:
    """Compile the plugin; the compiler's cache lies beside it.

    Raises:
        DeviceError: the compiler fails.
    """
    caches = {f"ZIG_{kind}_CACHE_DIR": str(program.parent / "cache") for kind in ("GLOBAL", "LOCAL")}
    run([program, "cc", *FLAGS, "-o", output, source], what="counting plugin", env=os.environ | caches)
