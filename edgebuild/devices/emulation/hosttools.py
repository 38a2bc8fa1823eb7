"""Gathers what runs on this machine: the emulator, LLVM's tools, and the libraries it lacks for them."""

import os
import re
import shutil
from pathlib import Path

from edgebuild.devices.emulation.apt import PrivateApt, unpack
from edgebuild.devices.emulation.commands import run
from edgebuild.devices.emulation.parts import Download
from edgebuild.spec.errors import DeviceError

# qemu-user of Debian 12 is linked dynamically and so can load plugins; the backport (10.0) is static and cannot.
# LLVM 19 tells neoverse-n1 and cortex-a72 apart, LLVM 16 gives the same cycles for both.
PACKAGES = {"qemu-user": "=1:7.2*", "llvm-19": "", "libllvm19": ""}
PROGRAMS = ("usr/bin/qemu-aarch64", "usr/lib/llvm-19/bin/llvm-mc", "usr/lib/llvm-19/bin/llvm-mca")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"

# Debian 12's package of each library that the programs may need, beside libc6 and libgcc-s1, which
# every machine with Python has.
PACKAGE_OF = {
    "libLLVM.so.19.1": "libllvm19",
    "libbsd.so.0": "libbsd0",
    "libcapstone.so.4": "libcapstone4",
    "libedit.so.2": "libedit2",
    "libffi.so.8": "libffi8",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgmodule-2.0.so.0": "libglib2.0-0",
    "libgmp.so.10": "libgmp10",
    "libgnutls.so.30": "libgnutls30",
    "libhogweed.so.6": "libhogweed6",
    "libicudata.so.72": "libicu72",
    "libicuuc.so.72": "libicu72",
    "libidn2.so.0": "libidn2-0",
    "liblzma.so.5": "liblzma5",
    "libmd.so.0": "libmd0",
    "libnettle.so.8": "libnettle8",
    "libnuma.so.1": "libnuma1",
    "libp11-kit.so.0": "libp11-kit0",
    "libpcre2-8.so.0": "libpcre2-8-0",
    "libstdc++.so.6": "libstdc++6",
    "libtasn1.so.6": "libtasn1-6",
    "libtinfo.so.6": "libtinfo6",
    "libunistring.so.2": "libunistring2",
    "liburing.so.2": "liburing2",
    "libxml2.so.2": "libxml2",
    "libz.so.1": "zlib1g",
    "libz3.so.4": "libz3-4",
    "libzstd.so.1": "libzstd1",
}
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


def gather(apt: PrivateApt, tree: Path, scratch: Path) -> list[Download]:
    """Fill `tree` with `bin/` (the programs) and `lib/` (LLVM's library and those this machine lacks).

    Raises:
        DeviceError: a package cannot be had, or a library has no known package.
    """
    (tree / "bin").mkdir()
    (tree / "lib").mkdir()
    wanted = [f"{name}:{apt.host}{version}" for name, version in PACKAGES.items()]
    downloads, extracted = _extract(apt, wanted, scratch / "programs")
    for program in PROGRAMS:
        shutil.copy2(extracted / program, tree / "bin")
    while missing := missing_libraries(tree):
        downloads += _add_libraries(apt, missing, extracted, tree / "lib")
    return downloads


def missing_libraries(tree: Path) -> list[str]:
    """Names of shared libraries that the programs need and neither this machine nor `tree/lib` has."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tree / "lib"), "LC_ALL": "C"}
    programs = [tree / "bin" / Path(program).name for program in PROGRAMS]
    listed = run(["ldd", *programs], what="libraries of the emulator", env=environment)
    return sorted(set(_MISSING.findall(listed)))


def _extract(apt: PrivateApt, packages: list[str], scratch: Path) -> tuple[list[Download], Path]:
    debs, extracted = scratch / "debs", scratch / "tree"
    debs.mkdir(parents=True)
    downloads = apt.fetch(packages, debs)
    unpack(debs, extracted)
    return downloads, extracted


def _add_libraries(apt: PrivateApt, names: list[str], extracted: Path, into: Path) -> list[Download]:
    """Copy the named libraries from what is extracted already, or from their packages, into `into`."""
    absent = [name for name in names if not _library(extracted, name)]
    if unknown := [name for name in absent if name not in PACKAGE_OF]:
        raise DeviceError(f"emulator set-up: no package known for {', '.join(unknown)}")
    downloads: list[Download] = []
    if packages := sorted({f"{PACKAGE_OF[name]}:{apt.host}" for name in absent}):
        downloads, more = _extract(apt, packages, extracted.parent / f"libraries-{names[0]}")
        _copy([(more, name) for name in absent], into)
    _copy([(extracted, name) for name in names if name not in absent], into)
    return downloads


def _copy(libraries: list[tuple[Path, str]], into: Path) -> None:
    for tree, name in libraries:
        source = _library(tree, name)
        if source is None:
            raise DeviceError(f"emulator set-up: package {PACKAGE_OF.get(name)} does not hold {name}")
        shutil.copy2(source, into / name)


def _library(tree: Path, name: str) -> Path | None:
    """The file of a library in an extracted tree, links followed."""
    candidates = (tree / _LIBRARIES / name, tree / _LIBRARIES.removeprefix("usr/") / name)
    return next((each for each in candidates if each.is_file()), None)
