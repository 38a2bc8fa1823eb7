"""Sets up the emulated ARM device in a cache folder: emulator, ARM system files, ARM runtimes, counting plugin.

Needs Linux on x86-64 or aarch64 and a network, or the files from elsewhere; neither root, binfmt, a package manager nor
a C compiler, and no particular C library. Everything lies below the cache folder, and nothing else on the machine is
changed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.devices.emulation import bytecode, compiler, debs, faster, hosttools, pinned, programs, wheels
from edgebuild.devices.emulation.host import Host, this_host
from edgebuild.devices.emulation.parts import Download, Part, manifest, obtain, present
from edgebuild.devices.emulation.supply import Network, Supply
from edgebuild.spec import sha256
from edgebuild.spec.errors import DeviceError

_PLUGIN = "plugin.so"
# What Python 3.11 and the runtimes' wheels load, for arm64; libc-bin has the locale.
SYSROOT_PACKAGES = (
    "libbz2-1.0",
    "libc-bin",
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
# Universal time, as tzfile(5) has it.
_ZONE = "TZif2" + "\0" * 31 + "\0\0\0\1" + "\0\0\0\4" + "\0" * 6 + "UTC\0"
# What programs look for, and would find on this machine, whose root lies below the emulated one: what is counted must
# not depend on it.
_OWN_FILES = {
    "etc/ld.so.cache": "",
    "etc/localtime": f"{_ZONE}{_ZONE}\nUTC0\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
    "usr/share/locale/locale.alias": "",
}
_DOCUMENTS = ("doc", "man", "lintian", "bug", "info")


@dataclass(frozen=True, slots=True)
class Emulator:
    """Where the finished parts lie.

    `tools` holds bin/ and lib/ for this machine, `system` the ARM root, `site` the ARM Python packages; `plugin` is
    the file that counts, `programs` our own that run there, `faster` the emulator compiled here that computes the same
    sooner, where it was asked for.
    """

    tools: Path
    system: Path
    site: Path
    plugin: Path
    programs: Path
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
        """What the programs load, and the loader that starts them."""
        return self.tools / "lib"

    def manifest(self) -> dict[str, object]:
        """Recipe and downloads (name, SHA-256, size) of each part, for a device's fingerprint."""
        trees = {"tools": self.tools, "system": self.system, "site": self.site, "plugin": self.plugin.parent}
        trees |= {"faster": self.faster.parent} if self.faster else {}
        return {name: manifest(tree) for name, tree in trees.items()}


def why_absent(cache: Path) -> str | None:
    """Why the emulator in `cache` cannot be used now, or None when it is all there."""
    try:
        parts = _parts(cache, Network())
    except DeviceError as error:
        return error.reason
    return None if present(cache, parts) else "the emulator is not set up: edgebuild devices setup"


def digest(emulator: Emulator) -> str:
    """One digest of everything that was fetched and compiled, for fingerprints."""
    text = json.dumps(emulator.manifest(), sort_keys=True)
    return sha256.of_bytes(text.encode())


def prepare(
    cache: Path,
    *,
    verify: bool = False,
    quicken: bool = False,
    supply: Supply | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Emulator:
    """Set up what is missing in `cache` and return where it is; with all present, only the manifests are read.

    Args:
        cache: a folder of the user's, made if absent; several processes may share it.
        verify: compare every file with its recorded digest (seconds of CPU) and set damaged parts up again.
        quicken: compile the faster emulator too (minutes of CPU); where it is there it is used in any case.
        supply: where files come from; None: mirrors in the network.
        progress: told in a line which part is made, and what was fetched for it.

    Raises:
        DeviceError: wrong system, or no network, file or space; one line says which.
    """
    supply = supply or Network()
    trees = obtain(cache, _parts(cache, supply), verify=verify, progress=progress)
    own = programs.part(trees["tools"], trees["system"])  # another one for each version of edgebuild
    ours = obtain(cache, [own], verify=verify)[own.name]
    emulator = Emulator(trees["tools"], trees["system"], trees["site"], trees["plugin"] / _PLUGIN, ours)
    part = _faster(emulator, supply)
    if not quicken and not present(cache, [part]):
        return emulator
    tree = obtain(cache, [part], verify=verify, progress=progress)[part.name]
    return replace(emulator, faster=tree / faster.PROGRAM)


def download(folder: Path, machine: str, *, quicken: bool, supply: Supply, progress: Callable[[str], None]) -> int:
    """Bring all files that a set-up on `machine` takes into `folder`, for machines without a network; how many.

    Raises:
        DeviceError: a file cannot be had, or the folder cannot be written.
    """
    names = [pinned.TOOLS.format(machine), pinned.SYSTEM, pinned.SITE, pinned.COMPILER.format(machine)]
    names += faster.GROUPS if quicken else ()
    files = {each.name: each for name in names for each in pinned.group(name)}
    progress(f"{len(files)} files, {sum(each.size for each in files.values()) / 1e6:.0f} MB")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        supply.fetch([*files.values()], folder)
    except OSError as error:
        raise DeviceError(f"{error.filename or folder}: {error.strerror}") from error
    return len(files)


def check_machine() -> None:
    """Raise DeviceError unless the emulator can be set up on this machine."""
    this_host()


def _parts(cache: Path, supply: Supply) -> list[Part]:
    """In the order in which they are made: the later ones are compiled by programs of the first."""
    host = this_host()
    tools = _tools(host, supply)
    tools_tree = tools.folder(cache.resolve()) / "tree"
    system = _system(tools_tree, supply)
    site = _site(tools_tree, system.folder(cache.resolve()) / "tree", supply)
    return [tools, system, site, _plugin(host, supply)]


def _part(
    name: str,
    group: str,
    supply: Supply,
    fill: Callable[[Sequence[Path], Path, Path], None],
    holds: str,
    recipe: Mapping[str, object],
) -> Part:
    """A part that is made of a group of pinned files: `fill` gets them, the folder to fill and a scratch folder."""

    def build(tree: Path, scratch: Path) -> list[Download]:
        files = pinned.group(group)
        folder = scratch / "files"
        folder.mkdir(parents=True, exist_ok=True)
        supply.fetch(files, folder)
        fill([folder / each.name for each in files], tree, scratch)
        return [Download(each.name, each.sha256, each.size) for each in files]

    return Part(name, {"files": pinned.digests(group), **recipe}, build, holds)


def _tools(host: Host, supply: Supply) -> Part:
    def fill(files: Sequence[Path], tree: Path, _scratch: Path) -> None:
        hosttools.gather(files, tree, host)

    recipe = {"programs": list(hosttools.PROGRAMS)}
    return _part("tools", pinned.TOOLS.format(host.machine), supply, fill, "QEMU and LLVM's tools, from Debian", recipe)


def _system(tools: Path, supply: Supply) -> Part:
    def fill(files: Sequence[Path], tree: Path, _scratch: Path) -> None:
        for each in files:
            debs.unpack(each, tree, lambda name: None if _is_document(name) else name)
        for name, text in _OWN_FILES.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        bytecode.compile_folder(tree / f"usr/lib/python{bytecode.VERSION}", tools, tree)

    recipe = {"bytecode": list(bytecode.OPTIONS), "own": _OWN_FILES}
    return _part("system", pinned.SYSTEM, supply, fill, "the ARM system's files, from Debian", recipe)


def _is_document(name: str) -> bool:
    return any(name == f"usr/share/{each}" or name.startswith(f"usr/share/{each}/") for each in _DOCUMENTS)


def _site(tools: Path, system: Path, supply: Supply) -> Part:
    def fill(files: Sequence[Path], tree: Path, _scratch: Path) -> None:
        wheels.unpack(files, tree)
        bytecode.compile_folder(tree, tools, system)

    def build(tree: Path, scratch: Path) -> list[Download]:
        if not supply.online:
            raise DeviceError(wheels.other_versions(versions))
        folder = scratch / "wheels"
        folder.mkdir(parents=True)
        downloads = wheels.fetch(versions, folder)
        fill([folder / each.name for each in downloads], tree, scratch)
        return downloads

    versions = wheels.installed_versions()
    recipe = {"bytecode": list(bytecode.OPTIONS)}
    holds = "numpy and the runtimes for ARM, from the Python package index"
    if versions.items() <= pinned.wheels(pinned.SITE).items():
        return _part("site", pinned.SITE, supply, fill, holds, recipe)
    return Part("site", {"versions": versions, **recipe}, build, holds)


def _plugin(host: Host, supply: Supply) -> Part:
    def fill(files: Sequence[Path], tree: Path, scratch: Path) -> None:
        program = compiler.unpack(files, scratch / "compiler")
        compiler.compile_plugin(program, compiler.sources()[0], tree / _PLUGIN, host)

    holds = "what counts work, and a C compiler to make it"
    return _part("plugin", pinned.COMPILER.format(host.machine), supply, fill, holds, compiler.recipe(host))


def _faster(emulator: Emulator, supply: Supply) -> Part:
    """The emulator that is compiled here; it is there only if it computes what Debian's does."""

    def build(tree: Path, scratch: Path) -> list[Download]:
        downloads = faster.build(tree, scratch / "faster", emulator.libraries, supply)
        faster.compare(emulator.qemu, tree / faster.PROGRAM, emulator.system, emulator.libraries)
        return downloads

    holds = "QEMU with faster small-integer arithmetic, compiled here (minutes)"
    return Part("faster", faster.recipe(), build, holds)
