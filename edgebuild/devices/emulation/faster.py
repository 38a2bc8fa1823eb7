"""Compiles QEMU with a change that makes small-integer arithmetic two to three times faster, and compares it.

Debian's QEMU computes the vector multiplications of 8-bit kernels in halves and sums of pairs likewise, by calls for
each. `faster.patch` gives each instruction one call. The result is used for running, never for counting, and only
after it has computed the same bits as Debian's on random and on extreme values.
"""

import os
import re
from pathlib import Path

from edgebuild.devices.emulation import compiler, debs, host, pinned, wheels
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.host import this_host
from edgebuild.devices.emulation.parts import Download
from edgebuild.devices.emulation.supply import Supply
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

PROGRAM = "qemu-aarch64"
PATCH = Path(__file__).with_name("faster.patch")
_VECTORS = Path(__file__).with_name("vectors.py")
# What QEMU's own build needs; the compiler is the plugin's.
TOOLS = ("meson==1.12.1", "ninja==1.13.2", "pkgconf==3.0.7.post0")
LIBRARIES = (
    *("libffi-dev", "libffi8", "libglib2.0-0", "libglib2.0-dev", "libpcre2-8-0", "libpcre2-dev"),
    *("zlib1g", "zlib1g-dev"),
)
PATCHER = "patch"  # Debian's changes are made for GNU's
# The sources of the QEMU that the set-up takes.
SOURCE = "1:7.2+dfsg-7+deb12u18"
GROUPS = (pinned.FASTER_SOURCE, pinned.FASTER_LIBRARIES, pinned.FASTER_TOOLS)
CONFIGURE = (
    *("--target-list=aarch64-linux-user", "--without-default-features", "--disable-werror"),
    *("--disable-system", "--disable-tools", "--disable-docs", "--disable-debug-info"),
    *("--cc=cc", "--cxx=none", "--host-cc=cc", "--meson=meson", "--ninja=ninja"),
)
# What Zig adds where it is not told: QEMU relies on assertions and on wrapping arithmetic.
FLAGS = ("-UNDEBUG", "-fno-sanitize=undefined")
_MACHINE = "x86_64"  # the only one that it has been tried on
_COMPILER = pinned.COMPILER.format(_MACHINE)
_BINARY_TOOLS = ("ar", "ranlib", "objcopy")
_WHAT = "compiling the faster QEMU"
_SLOW_S = 3600.0


def recipe() -> dict[str, object]:
    """All that decides the program."""
    groups = {name: pinned.digests(name) for name in (*GROUPS, _COMPILER)}
    return {"changes": sha256.of_file(PATCH), "configure": list(CONFIGURE), "flags": list(FLAGS), **groups}


def build(tree: Path, scratch: Path, libraries: Path, supply: Supply) -> list[Download]:
    """Compile it into `tree`: some two minutes of CPU time.

    Args:
        tree: the folder to fill.
        scratch: a folder to make and work in.
        libraries: those that the emulators load.
        supply: where the sources, and what compiles them, come from.

    Raises:
        DeviceError: a file cannot be had, the sources do not fit the change, the compiler fails, or no x86-64.
    """
    if this_host().machine != _MACHINE:
        raise DeviceError("the faster emulator is for x86-64 alone; the one that is set up does the same, slower")
    downloads = _fetch(supply, scratch)
    program = compiler.unpack(_files(_COMPILER, scratch), scratch / "compiler")
    _unpack_libraries(scratch)
    source = _source(scratch)
    _patch(source, scratch / "libraries/usr/bin" / PATCHER, libraries)
    wheels.unpack(_files(pinned.FASTER_TOOLS, scratch), scratch / "tools")
    _compile(source, scratch / "build", _environment(program, scratch))
    (scratch / "build" / PROGRAM).rename(tree / PROGRAM)
    return downloads


def _fetch(supply: Supply, scratch: Path) -> list[Download]:
    (scratch / "files").mkdir(parents=True)
    files = [each for name in (*GROUPS, _COMPILER) for each in pinned.group(name)]
    supply.fetch(files, scratch / "files")
    return [Download(each.name, each.sha256, each.size) for each in files]


def _files(group: str, scratch: Path) -> list[Path]:
    return [scratch / "files" / each.name for each in pinned.group(group)]


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
    command = [*host.command(program, libraries), "-cpu", "cortex-a72", "-L", system, system / "usr/bin/python3.11"]
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    return run([*command, _VECTORS], what=f"trying {program.name}", env=environment)


def _source(scratch: Path) -> Path:
    """Debian's sources of QEMU, unpacked."""
    for each in _files(pinned.FASTER_SOURCE, scratch):
        if re.search(r"\.tar\.\w+$", each.name):
            debs.unpack_source(each, scratch / "source")
    [folder] = (each for each in (scratch / "source").iterdir() if each.name != "debian")
    (scratch / "source/debian").rename(folder / "debian")
    return folder


def _patch(source: Path, patcher: Path, libraries: Path) -> None:
    """Apply Debian's changes, then ours."""
    series = (source / "debian/patches/series").read_text().splitlines()
    names = [line.split()[0] for line in series if line.strip() and not line.startswith("#")]
    for patch in (*(source / "debian/patches" / name for name in names), PATCH):
        command = [*host.command(patcher, libraries), "--silent", "--strip=1", "--force", f"--input={patch}"]
        run(command, what=f"changes to QEMU: {patch.name}", cwd=source)


def _unpack_libraries(scratch: Path) -> None:
    for each in _files(pinned.FASTER_LIBRARIES, scratch):
        debs.unpack(each, scratch / "libraries")


def _environment(zig: Path, scratch: Path) -> dict[str, str]:
    """By what QEMU's build finds compiler, libraries and its own tools: the pinned ones, none of this machine's."""
    libraries, tools = scratch / "libraries", scratch / "tools"
    folder = libraries / "usr/lib" / this_host().triplet
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
    flags = " ".join((*this_host().compile, *FLAGS))
    lines |= {"cc": f"'{zig}' cc {flags}", "meson": "python3 -m mesonbuild.mesonmain"}
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
