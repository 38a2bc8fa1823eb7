"""Sets up the emulated ARM device in a cache folder: emulator, ARM system files, ARM runtimes, counting plugin.

Needs Debian 12 on x86-64, its apt and dpkg, and pip; neither root, binfmt nor a C compiler. Everything lies below the
cache folder, and nothing else on the machine is changed.
"""

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.devices.emulation import compiler, faster, hosttools, wheels
from edgebuild.devices.emulation.apt import PrivateApt, unpack
from edgebuild.devices.emulation.commands import require
from edgebuild.devices.emulation.parts import Download, Part, manifest, obtain, present
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

_RELEASE = "bookworm"
_PLUGIN = "plugin.so"
# What Python 3.11 and the runtimes' wheels load, for arm64.
SYSROOT_PACKAGES = (
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
_DOCUMENTS = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bug", "usr/share/info")


@dataclass(frozen=True, slots=True)
class Emulator:
    """Where the finished parts lie.

    `tools` holds bin/ and lib/ for this machine, `system` the ARM root, `site` the ARM Python packages; `plugin` is
    the file that counts, `faster` the emulator compiled here that computes the same sooner, where it was asked for.
    """

    tools: Path
    system: Path
    site: Path
    plugin: Path
    faster: Path | None = None

    @property
    def qemu(self) -> Path:
        """The emulator itself, which can count."""
        return self.tools / "bin/qemu-aarch64"

    @property
    def runner(self) -> Path:
        """The emulator for what need not be counted: the fastest that there is."""
        return self.faster or self.qemu

    @property
    def llvm_mc(self) -> Path:
        """LLVM's disassembler."""
        return self.tools / "bin/llvm-mc"

    @property
    def llvm_mca(self) -> Path:
        """LLVM's static analyser of throughput."""
        return self.tools / "bin/llvm-mca"

    @property
    def libraries(self) -> Path:
        """For LD_LIBRARY_PATH of the three programs."""
        return self.tools / "lib"

    def manifest(self) -> dict[str, object]:
        """Recipe and downloads (name, SHA-256, size) of each part, for a device's fingerprint."""
        trees = {"tools": self.tools, "system": self.system, "site": self.site, "plugin": self.plugin.parent}
        trees |= {"faster": self.faster.parent} if self.faster else {}
        return {name: manifest(tree) for name, tree in trees.items()}


def why_absent(cache: Path) -> str | None:
    """Why the emulator in `cache` cannot be used now, or None when it is all there."""
    try:
        wanted = _parts()
    except DeviceError as error:
        return error.reason
    return None if present(cache, wanted) else "the emulator is not set up: edgebuild devices setup"


def digest(emulator: Emulator) -> str:
    """One digest of everything that was fetched and compiled, for fingerprints."""
    text = json.dumps(emulator.manifest(), sort_keys=True)
    return sha256.of_bytes(text.encode())


def prepare(
    cache: Path,
    *,
    verify: bool = False,
    quicken: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Emulator:
    """Set up what is missing in `cache` and return where it is; with all present, only the manifests are read.

    Args:
        cache: a folder of the user's, made if absent; several processes may share it.
        verify: compare every file with its recorded digest (seconds of CPU) and set damaged parts up again.
        quicken: compile the faster emulator too (minutes of CPU); where it is there it is used in any case.
        progress: told in a line which part is made, and what was fetched for it.

    Raises:
        DeviceError: wrong system, or no apt, dpkg, pip, network or space; one line says which.
    """
    trees = obtain(cache, _parts(), verify=verify, progress=progress)
    emulator = Emulator(trees["tools"], trees["system"], trees["site"], trees["plugin"] / _PLUGIN)
    part = _faster(emulator)
    if not quicken and not present(cache, [part]):
        return emulator
    tree = obtain(cache, [part], verify=verify, progress=progress)[part.name]
    return replace(emulator, faster=tree / faster.PROGRAM)


def check_machine() -> None:
    """Raise DeviceError unless the emulator can be set up on this machine."""
    what = "emulator set-up"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise DeviceError(f"{what}: needs Linux on x86-64, this is {platform.system()} on {platform.machine()}")
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if _RELEASE not in (release.get("VERSION_CODENAME"), release.get("DEBIAN_CODENAME")):
        raise DeviceError(f"{what}: needs Debian 12 ({_RELEASE}), this is {release.get('PRETTY_NAME', 'unknown')}")
    for program in ("apt-get", "apt-config", "dpkg-deb", "ldd"):
        require(program, what)


def _parts() -> list[Part]:
    versions = wheels.installed_versions()
    tools = {"packages": hosttools.PACKAGES, "programs": list(hosttools.PROGRAMS)}
    system = {"packages": list(SYSROOT_PACKAGES), "release": _RELEASE}
    site = {"versions": versions, "python": wheels.PYTHON}
    return [
        _part("tools", tools, _build_tools, "QEMU and LLVM's tools, from Debian"),
        _part("system", system, _build_system, "the ARM system's files, from Debian"),
        _part("site", site, _build_site(versions), "numpy and the runtimes for ARM, from the Python package index"),
        _part("plugin", compiler.recipe(), _build_plugin, "what counts work, and a C compiler to make it"),
    ]


def _faster(emulator: Emulator) -> Part:
    """The emulator that is compiled here; it is there only if it computes what Debian's does."""

    def build(tree: Path, scratch: Path) -> list[Download]:
        downloads = faster.build(tree, scratch / "faster")
        faster.compare(emulator.qemu, tree / faster.PROGRAM, emulator.system, emulator.libraries)
        return downloads

    return _part("faster", faster.recipe(), build, "QEMU with faster small-integer arithmetic, compiled here (minutes)")


def _part(name: str, recipe: Mapping[str, object], build: Callable[[Path, Path], list[Download]], holds: str) -> Part:
    def checked(tree: Path, scratch: Path) -> list[Download]:
        check_machine()
        return build(tree, scratch)

    return Part(name, recipe, checked, holds)


def _build_plugin(tree: Path, scratch: Path) -> list[Download]:
    program, downloads = compiler.fetch(scratch / "compiler")
    compiler.compile_plugin(program, compiler.sources()[0], tree / _PLUGIN)
    return downloads


def _build_tools(tree: Path, scratch: Path) -> list[Download]:
    return hosttools.gather(PrivateApt(scratch / "apt"), tree, scratch)


def _build_system(tree: Path, scratch: Path) -> list[Download]:
    debs = scratch / "debs"
    debs.mkdir(parents=True)
    downloads = PrivateApt(scratch / "apt").fetch([f"{name}:arm64" for name in SYSROOT_PACKAGES], debs)
    unpack(debs, tree)
    for folder in _DOCUMENTS:
        shutil.rmtree(tree / folder, ignore_errors=True)
    wheels.compile_bytecode(tree / "usr/lib/python3.11")
    return downloads


def _build_site(versions: dict[str, str]) -> Callable[[Path, Path], list[Download]]:
    def build(tree: Path, scratch: Path) -> list[Download]:
        folder = scratch / "wheels"
        folder.mkdir(parents=True)
        downloads = wheels.fetch(versions, folder)
        wheels.unpack(folder, tree)
        wheels.compile_bytecode(tree)
        return downloads

    return build
