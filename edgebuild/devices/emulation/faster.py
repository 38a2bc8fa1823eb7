"""Compiles QEMU with a change that makes small-integer arithmetic two to three times faster, and compares it.

Debian's QEMU computes the vector multiplications of 8-bit kernels in halves and sums of pairs likewise, by calls for
each. `faster.patch` gives each instruction one call. The result is used for running, never for counting, and only
after it has computed the same bits as Debian's on random and on extreme values.
"""

import os
import re
import tarfile
from pathlib import Path

from edgebuild.devices.emulation import compiler, hosttools, wheels
from edgebuild.devices.emulation.apt import PrivateApt, unpack
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

PROGRAM = "qemu-aarch64"
PATCH = Path(__file__).with_name("faster.patch")
_VECTORS = Path(__file__).with_name("vectors.py")
# What QEMU's own build needs; the compiler is the plugin's.
TOOLS = ("meson==1.12.1", "ninja==1.13.2", "pkgconf==3.0.7.post0")
LIBRARIES = (
    *("libffi-dev", "libffi8", "libglib2.0-0", "libglib2.0-dev", "libpcre2-8-0", "libpcre2-dev"),
    *("zlib1g", "zlib1g-dev", "patch"),
)
CONFIGURE = (
    *("--target-list=aarch64-linux-user", "--without-default-features", "--disable-werror"),
    *("--disable-system", "--disable-tools", "--disable-docs", "--disable-debug-info"),
    *("--cc=cc", "--cxx=none", "--host-cc=cc", "--meson=meson", "--ninja=ninja"),
)
# What Zig adds where it is not told: QEMU relies on assertions and on wrapping arithmetic.
FLAGS = ("-target", "x86_64-linux-gnu.2.36", "-mcpu=x86_64_v2", "-UNDEBUG", "-fno-sanitize=undefined")
_LIBRARY_FOLDER = "usr/lib/x86_64-linux-gnu"
_BINARY_TOOLS = ("ar", "ranlib", "objcopy")
_WHAT = "compiling the faster QEMU"
_SLOW_S = 3600.0


def recipe() -> dict[str, object]:
    """All of ours that decides the program; which revision of 7.2 Debian has is in the list of downloads."""
    packages = {"source": hosttools.PACKAGES["qemu-user"], "libraries": list(LIBRARIES), "tools": list(TOOLS)}
    flags = {"configure": list(CONFIGURE), "flags": list(FLAGS), "compiler": compiler.PACKAGE}
    return {"changes": sha256.of_file(PATCH), **packages, **flags}


def build(tree: Path, scratch: Path) -> list[Download]:
    """Compile it into `tree`: some two minutes of CPU time.

    Raises:
        DeviceError: something cannot be fetched, Debian's sources no longer fit the change, or the compiler fails.
    """
    scratch.mkdir(parents=True)
    source, downloads = _source(scratch)
    program, more = compiler.fetch(scratch / "compiler")
    libraries, others = _libraries(scratch)
    _patch(source, libraries)
    tools, rest = _tools(scratch)
    _compile(source, scratch / "build", _environment(program, libraries, tools, scratch))
    (scratch / "build" / PROGRAM).rename(tree / PROGRAM)
    return [*downloads, *more, *others, *rest]


def compare(reference: Path, program: Path, system: Path, libraries: Path) -> None:
    """Run the changed instructions under both emulators.

    Args:
        reference: Debian's emulator.
        program: the one compiled here.
        system: the root of the ARM system, whose Python runs the instructions.
        libraries: what the emulators need beside the machine's own libraries.

    Raises:
        DeviceError: one of them fails, or they differ.
    """
    results = [_results(each, system, libraries) for each in (reference, program)]
    if results[0] != results[1]:
        pairs = zip(*(each.splitlines() for each in results), strict=False)
        differing = next((one.split()[0] for one, other in pairs if one != other), "what it leaves out")
        raise DeviceError(f"the emulator compiled here computes something else: {differing}")


def _results(program: Path, system: Path, libraries: Path) -> str:
    command = [program, "-cpu", "cortex-a72", "-L", system, "-U", "LD_LIBRARY_PATH", system / "usr/bin/python3.11"]
    environment = {"LD_LIBRARY_PATH": str(libraries), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    return run([*command, _VECTORS], what=f"trying {program.name}", env=environment)


def _source(scratch: Path) -> tuple[Path, list[Download]]:
    """Debian's sources of the revision of QEMU that the set-up takes, unpacked."""
    name = "qemu-user"
    apt = PrivateApt(scratch / "apt", sources=True)
    downloads = apt.fetch_source(f"{name}:{apt.host}{hosttools.PACKAGES[name]}", scratch)
    for each in downloads:
        if re.search(r"\.tar\.\w+$", each.name):
            with tarfile.open(scratch / each.name) as archive:
                archive.extractall(scratch / "source")  # noqa: S202 - apt has checked who made it
    [folder] = (each for each in (scratch / "source").iterdir() if each.name != "debian")
    (scratch / "source/debian").rename(folder / "debian")
    return folder, downloads


def _patch(source: Path, libraries: Path) -> None:
    """Apply Debian's changes, then ours."""
    series = (source / "debian/patches/series").read_text().splitlines()
    names = [line.split()[0] for line in series if line.strip() and not line.startswith("#")]
    for patch in (*(source / "debian/patches" / name for name in names), PATCH):
        command = [libraries / "usr/bin/patch", "--silent", "--strip=1", "--force", f"--input={patch}"]
        run(command, what=f"changes to QEMU: {patch.name}", cwd=source)


def _libraries(scratch: Path) -> tuple[Path, list[Download]]:
    debs, tree = scratch / "debs", scratch / "libraries"
    debs.mkdir()
    apt = PrivateApt(scratch / "apt", sources=True)
    downloads = apt.fetch([f"{name}:{apt.host}" for name in LIBRARIES], debs)
    unpack(debs, tree)
    return tree, downloads


def _tools(scratch: Path) -> tuple[Path, list[Download]]:
    folder, tree = scratch / "tool-wheels", scratch / "tools"
    folder.mkdir()
    wheels.download(TOOLS, folder, "--no-deps", what="programs that build QEMU")
    wheels.unpack(folder, tree)
    return tree, wheels.listed(folder)


def _environment(zig: Path, libraries: Path, tools: Path, scratch: Path) -> dict[str, str]:
    """By what QEMU's build finds compiler, libraries and its own tools: the pinned ones, none of this machine's."""
    folder = libraries / _LIBRARY_FOLDER
    own = {
        "PATH": f"{_programs(zig, tools, scratch / 'programs')}:{os.environ['PATH']}",
        "PYTHONPATH": str(tools),  # Meson starts itself again from Ninja's rules
        "PKG_CONFIG_LIBDIR": str(folder / "pkgconfig"),
        "PKG_CONFIG_SYSROOT_DIR": str(libraries),
        "LDFLAGS": f"-L{folder}",
        "CXX": "none",  # without a C++ compiler QEMU is linked as C, which it is
        **{name.upper(): name for name in _BINARY_TOOLS},
        **{f"ZIG_{kind}_CACHE_DIR": str(scratch / "zig-cache") for kind in ("GLOBAL", "LOCAL")},
    }
    return os.environ | own


def _programs(zig: Path, tools: Path, folder: Path) -> Path:
    """Fill a folder with programs by the names that QEMU's build calls."""
    folder.mkdir()
    packaged = {"pkg-config": tools / "pkgconf/.bin/pkgconf", "ninja": next(tools.glob("ninja-*.data/scripts/ninja"))}
    lines = {name: f"'{program}'" for name, program in packaged.items()}
    lines |= {name: f"'{zig}' {name}" for name in _BINARY_TOOLS}
    lines |= {"cc": f"'{zig}' cc {' '.join(FLAGS)}", "meson": "python3 -m mesonbuild.mesonmain"}
    for name, line in lines.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
    for program in (*packaged.values(), *folder.iterdir()):
        program.chmod(0o755)  # zipfile drops the mode
    return folder


def _compile(source: Path, folder: Path, environment: dict[str, str]) -> None:
    folder.mkdir()
    run([source / "configure", *CONFIGURE], what=_WHAT, cwd=folder, env=environment)
    rules = folder / "build.ninja"  # Zig takes no archive that is called .fa, as two of QEMU's are
    rules.write_text(re.sub(r"\.fa\b(?!\.p)", ".a", rules.read_text()))
    run(["ninja", PROGRAM], what=_WHAT, cwd=folder, env=environment, timeout_s=_SLOW_S)
