"""Makes the view of the system that one emulated CPU sees: the shared ARM root, with that CPU's /proc and /sys.

The emulator passes the host's /proc/cpuinfo through, and runtimes choose their kernels by it (onnxruntime crashes on
an x86 one). A view links to the shared root and holds only some seventy small files of its own.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from edgebuild.devices.emulation.parts import Download, Part, obtain

_LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class CacheLevel:
    """One cache of a core, as its technical reference manual states it."""

    level: int
    kind: Literal["Data", "Instruction", "Unified"]
    size_bytes: int
    ways: int
    shared_by: int = 1  # cores

    @property
    def name(self) -> str:
        """The counting plugin's name of it: l1d, l1i, l2, l3."""
        return f"l{self.level}" + {"Data": "d", "Instruction": "i", "Unified": ""}[self.kind]


@dataclass(frozen=True, slots=True)
class CpuProfile:
    """What Linux says of a CPU; it must agree with what the emulator's `-cpu cpu` executes.

    `features` are the kernel's names of the hardware capabilities; one that `cpu` lacks makes runtimes choose kernels
    that end in SIGILL. Numbers of the main ID register (MIDR_EL1) as in its technical reference manual.
    """

    cpu: str
    implementer: int
    part: int
    variant: int
    revision: int
    features: tuple[str, ...]
    cores: int
    clock_hz: int
    ram_bytes: int
    caches: tuple[CacheLevel, ...]
    board: str = ""


def view(cache: Path, profile: CpuProfile, system: Path) -> Path:
    """Return the root folder that `profile` sees, made in `cache` when it is not there yet.

    Args:
        cache: the emulator's cache folder.
        profile: the CPU.
        system: the ARM root set up in the same cache folder (`Emulator.system`).

    Raises:
        DeviceError: the cache folder cannot be written.
    """
    cache, system = cache.resolve(), system.resolve()
    recipe = {"profile": asdict(profile), "system": str(system.relative_to(cache))}

    def build(tree: Path, _scratch: Path) -> list[Download]:
        _link_system(tree, Path("../..") / system.relative_to(cache), sorted(each.name for each in system.iterdir()))
        for name, text in _files(profile):
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return []

    part = Part(f"view-{profile.cpu}", recipe, build)
    return obtain(cache, [part])[part.name]


def _link_system(tree: Path, system: Path, names: list[str]) -> None:
    """Relative links, so that the cache folder can be moved."""
    for name in names:
        if name not in ("proc", "sys"):
            (tree / name).symlink_to(system / name)


def _files(profile: CpuProfile) -> Iterator[tuple[str, str]]:
    """(path, content) of all that differs from one CPU to another."""
    yield "proc/cpuinfo", _cpuinfo(profile)
    yield "proc/meminfo", _meminfo(profile.ram_bytes)
    folder = "sys/devices/system/cpu"
    every = _range(profile.cores)
    for name in ("possible", "present", "online"):
        yield f"{folder}/{name}", every
    yield f"{folder}/kernel_max", "255\n"
    for core in range(profile.cores):
        yield from _core(profile, core, f"{folder}/cpu{core}")


def _cpuinfo(profile: CpuProfile) -> str:
    """As arch/arm64/kernel/cpuinfo.c of Linux prints it."""
    cores = "".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {' '.join(profile.features)}\n"
        f"CPU implementer\t: {profile.implementer:#04x}\nCPU architecture: 8\nCPU variant\t: {profile.variant:#x}\n"
        f"CPU part\t: {profile.part:#05x}\nCPU revision\t: {profile.revision}\n\n"
        for core in range(profile.cores)
    )
    return cores + (f"Model\t\t: {profile.board} (emulated)\n" if profile.board else "")


def _meminfo(ram_bytes: int) -> str:
    """A machine at rest: the kernel and its services hold about a tenth."""
    total = ram_bytes // 1024
    free = total * 9 // 10
    values = {"MemTotal": total, "MemFree": free, "MemAvailable": free, "SwapTotal": 0, "SwapFree": 0}
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in values.items())


def _core(profile: CpuProfile, core: int, folder: str) -> Iterator[tuple[str, str]]:
    clock_khz = f"{profile.clock_hz // 1000}\n"
    for name in ("cpuinfo_max_freq", "cpuinfo_min_freq", "scaling_cur_freq"):
        yield f"{folder}/cpufreq/{name}", clock_khz
    every, alone = _range(profile.cores), f"{core}\n"
    lists = {"core_siblings": every, "package_cpus": every, "cluster_cpus": every}
    lists |= {"thread_siblings": alone, "core_cpus": alone}
    for name, cores in lists.items():
        yield f"{folder}/topology/{name}_list", cores
    yield f"{folder}/topology/core_id", alone
    yield f"{folder}/topology/physical_package_id", "0\n"
    for index, cache in enumerate(profile.caches):
        yield from _cache(cache, core, f"{folder}/cache/index{index}")


def _cache(cache: CacheLevel, core: int, folder: str) -> Iterator[tuple[str, str]]:
    first = core - core % cache.shared_by
    values = {
        "level": cache.level,
        "type": cache.kind,
        "size": f"{cache.size_bytes // 1024}K",
        "ways_of_associativity": cache.ways,
        "coherency_line_size": _LINE_BYTES,
        "number_of_sets": cache.size_bytes // _LINE_BYTES // cache.ways,
        "shared_cpu_list": _range(cache.shared_by, first).strip(),
    }
    for name, value in values.items():
        yield f"{folder}/{name}", f"{value}\n"


def _range(count: int, first: int = 0) -> str:
    """The kernel's notation of a list of cores."""
    return f"{first}\n" if count == 1 else f"{first}-{first + count - 1}\n"
