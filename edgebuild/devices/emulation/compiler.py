"""Compiles the counting plugin with a compiler of its own, so that it is the same on every machine, gcc there or not.

The compiler is Zig's (clang, with glibc's headers and symbols), which comes as a Python package; it is thrown away
after the set-up.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from edgebuild.devices.emulation import wheels
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.host import Host
from edgebuild.spec import sha256

PACKAGE = "ziglang==0.17.1"
# Strict, since a warning can only come from a change of ours: the compiler is always this one.
FLAGS = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"),
    *("-shared", "-fPIC", "-fvisibility=hidden", "-s"),
)
# What the compiler brings for other systems and for C++: three quarters of its 20,000 files.
_NEEDLESS = re.compile(
    r"ziglang/lib/(libcxx|libcxxabi|libtsan|libc/(mingw|musl|wasi|darwin|(free|net|open)bsd)"
    r"|libc/include/[^/]*(windows|darwin|bsd|musl|wasi)[^/]*)/"
)


def sources() -> list[Path]:
    """The C files of the counting plugin, the one to compile first."""
    return sorted(Path(__file__).parent.glob("plugin*.[ch]"))


def recipe(host: Host) -> dict[str, object]:
    """All that decides the plugin's bytes, beside the compiler's own."""
    return {
        "sources": {each.name: sha256.of_file(each) for each in sources()},
        "flags": [*host.compile, *FLAGS],
    }


def unpack(wheels_of_it: Iterable[Path], into: Path) -> Path:
    """The compiler's program, unpacked below `into`.

    Raises:
        DeviceError: the package is damaged.
    """
    wheels.unpack(wheels_of_it, into, _NEEDLESS)
    program = into / "ziglang" / "zig"
    program.chmod(0o755)  # zipfile drops the mode
    return program


def compile_plugin(program: Path, source: Path, output: Path, host: Host) -> None:
    """Compile the plugin for the architecture of `host`; the compiler's cache lies beside it.

    Raises:
        DeviceError: the compiler fails.
    """
    caches = {f"ZIG_{kind}_CACHE_DIR": str(program.parent / "cache") for kind in ("GLOBAL", "LOCAL")}
    command = [program, "cc", *host.compile, *FLAGS, "-o", output, source]
    run(command, what="counting plugin", env=os.environ | caches)
