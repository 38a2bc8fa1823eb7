"""Sets up the emulated ARM device in a cache folder: emulator, ARM system files, ARM runtimes, counting plugin.

Needs Debian 12 on x86-64, its apt, dpkg and pip, and a C compiler for counting; neither root nor binfmt. Everything
lies below the cache folder, and nothing else on the machine is changed.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebuild.emulation import hosttools, wheels
from edgebuild.emulation.apt import PrivateApt, unpack
from edgebuild.emulation.commands import require
from edgebuild.emulation.parts import Download, Part, manifest, obtain, present, sha256
from edgebuild.spec.errors import DeviceError

_RELEASE = "bookworm"
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

    `tools` holds bin/ and lib/ for this machine, `system` the ARM root, `site` the ARM Python packages; without a C
    compiler there is no `plugin`, and nothing can be counted.
    """

    tools: Path
    system: Path
    site: Path
    plugin: Path | None

    @property
    def qemu(self) -> Path:
        """The emulator itself."""
        return self.tools / "bin/qemu-aarch64"

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
        trees = {"tools": self.tools, "system": self.system, "site": self.site}
        found: dict[str, object] = {name: manifest(tree) for name, tree in trees.items()}
        return found | ({"plugin": manifest(self.plugin.parent)} if self.plugin else {})


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
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(cache: Path, *, verify: bool = False, progress: Callable[[str], None] = lambda part: None) -> Emulator:
    """Set up what is missing in `cache` and return where it is; with all present, only four manifests are read.

    Args:
        cache: a folder of the user's, made if absent; several processes may share it.
        verify: compare every file with its recorded digest (seconds of CPU) and set damaged parts up again.
        progress: told the name of each part before it is made.

    Raises:
        DeviceError: wrong system, or no apt, dpkg, pip, compiler, network or space; one line says which.
    """
    counting = _plugin() if can_count(cache) else None
    trees = obtain(cache, [*_parts(), *([counting] if counting else [])], verify=verify, progress=progress)
    plugin = trees["plugin"] / "plugin.so" if counting else None
    return Emulator(trees["tools"], trees["system"], trees["site"], plugin)


def can_count(cache: Path) -> bool:
    """Whether the counting plugin is there, or a C compiler to make it: without it outputs are had, but no work."""
    return present(cache, [_plugin()]) or shutil.which("cc") is not None


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
    return [
        _part("tools", {"packages": hosttools.PACKAGES, "programs": list(hosttools.PROGRAMS)}, _build_tools),
        _part("system", {"packages": list(SYSROOT_PACKAGES), "release": _RELEASE}, _build_system),
        _part("site", {"versions": versions, "python": wheels.PYTHON}, _build_site(versions)),
    ]


def _plugin() -> Part:
    return _part("plugin", {each.name: sha256(each) for each in hosttools.plugin_sources()}, _build_plugin)


def _part(name: str, recipe: dict[str, object], build: Callable[[Path, Path], list[Download]]) -> Part:
    def checked(tree: Path, scratch: Path) -> list[Download]:
        check_machine()
        return build(tree, scratch)

    return Part(name, recipe, checked)


def _build_plugin(tree: Path, _scratch: Path) -> list[Download]:
    hosttools.compile_plugin(hosttools.plugin_sources()[0], tree)
    return []


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
