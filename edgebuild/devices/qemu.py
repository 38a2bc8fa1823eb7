"""The target's core, emulated: its own kernels run on this machine, and its work is counted, never timed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic.json_schema import SkipJsonSchema

from edgebuild.spec.artifact import EXCUSED
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.evidence import CacheWork, Counted
from edgebuild.spec.target import Fidelity, Hardware
from edgebuild.spec.units import Seconds

if TYPE_CHECKING:
    from edgebuild.devices.emulation import emulator as emulation
    from edgebuild.devices.emulation.counted import Region
    from edgebuild.devices.emulation.sysroot import Emulator

COUNTS = "counts.jsonl"
_COUNTING = ("count", "layer-counts")


@dataclass(frozen=True, slots=True)
class Qemu(Device):
    """`examples`: how many held-out examples may run here; the host runs all, and the two are compared.

    `budget`: how long this machine may emulate examples for one target, all its cores at work; None: as long as it
    takes. `hardware` is the target's, set by `attach`: it names the core and what Linux says of it.
    """

    examples: Annotated[int, Ge(1)] = field(default=500, metadata=EXCUSED)
    budget: Seconds | None = field(default=None, metadata=EXCUSED)
    hardware: SkipJsonSchema[Hardware | None] = None

    transport: ClassVar[str] = "qemu"

    def attach(self, hardware: Hardware) -> Qemu:
        """The emulator of this hardware; constants of the time model stay out: they change no output."""
        core = replace(hardware.core, time=None) if hardware.core else None
        return replace(self, hardware=replace(hardware, core=core, roofline=None))

    def why_unusable(self) -> str | None:
        """No core is declared, or the emulator has not been set up on this machine."""
        from edgebuild.devices.emulation import sysroot

        if self.hardware is None or self.hardware.core is None:
            return "the target declares no [hardware.core]"
        return sysroot.why_absent(cache_folder())

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """The device's own kernels and outputs; time is modelled."""
        return "emulated"

    def fingerprint(self) -> dict[str, str]:
        """The core, and the digests of all that emulates it."""
        from edgebuild.devices.emulation import sysroot

        emulator = self._emulator()
        return {"cpu": f"{self._profiled().cpu} (emulated)", "emulator": sysroot.digest(emulator)}

    def execute(self, job: Path, *, timeout: float) -> None:
        """Run the job on the emulated core; a job that counts leaves `counts.jsonl`. See `Device.execute`."""
        from edgebuild.devices.emulation import emulator as emulation
        from edgebuild.devices.emulation import programs
        from edgebuild.devices.jobs import job as jobs
        from edgebuild.devices.jobs import outcome
        from edgebuild.travels import runner

        outcome.clear(job)
        mode = jobs.mode_of(job)
        device, caches = self._device(timeout), _profile(self._profiled()).caches
        counting = emulation.Counting(job / COUNTS, caches) if mode in _COUNTING else None
        try:  # in the job's folder, named alike wherever it is: what is counted must not depend on its path
            emulation.execute(job, device, programs.runner(device.emulator.programs), ["."], counting=counting)
        except DeviceError:
            if (job / outcome.RESULT).is_file():  # the runner's own words, where it had any, say more
                outcome.check(job, runner.FAILED)
            raise
        finally:
            for written, name in ((emulation.STDOUT, outcome.STDOUT), (emulation.STDERR, outcome.STDERR)):
                if (job / written).is_file():
                    (job / written).replace(job / name)
        outcome.check(job, 0)

    def run(self, script: Path, arguments: Sequence[str], folder: Path, *, timeout: float) -> None:
        """Run another Python program that travels, such as the decoder of a download, on the core in `folder`.

        Raises DeviceError with one line when it fails or takes too long.
        """
        from edgebuild.devices.emulation import emulator as emulation

        emulation.execute(folder, self._device(timeout), script, arguments)

    def _device(self, timeout: float) -> emulation.Device:
        from edgebuild.devices.emulation import emulator as emulation

        hardware = self._profiled()
        limits = emulation.Limits(memory_bytes=hardware.core_ram, cpu_s=timeout, wall_s=2 * timeout)
        return emulation.Device(self._emulator(), hardware.cpu, self._root(), limits)

    def count(self, job: Path, mcpu: str, *, timeout: float) -> Counted:
        """Execute a counting job; the least work of its regions, and the cycles that `mcpu`'s pipelines need for it.

        Whatever disturbs a count can only add to it. Raises DeviceError as `execute` does, or when LLVM's tools fail.
        """
        from edgebuild.devices.emulation import counted

        self.execute(job, timeout=timeout)
        return _work(counted.least(counted.parse(job / COUNTS)), mcpu, self._emulator())

    def count_each(self, job: Path, mcpu: str, *, timeout: float) -> tuple[Counted, ...]:
        """Execute a counting job: see `count`."""
        from edgebuild.devices.emulation import counted

        self.execute(job, timeout=timeout)
        return _works(counted.parse(job / COUNTS), mcpu, self._emulator())

    def count_parts(self, job: Path, whole: Path, mcpu: str, *, timeout: float) -> tuple[Counted, ...]:
        """Execute a job of layer counts: see `Device.count_parts`."""
        from edgebuild.devices.emulation import counted
        from edgebuild.devices.emulation.divided import divided

        self.execute(job, timeout=timeout)
        parts = divided(counted.parse(job / COUNTS), counted.least(counted.parse(whole / COUNTS)))
        return _works(parts, mcpu, self._emulator())

    def work(self, region: Region, mcpu: str) -> Counted:
        """What was counted in a region before, with the cycles that `mcpu`'s pipelines need for it."""
        return _work(region, mcpu, self._emulator())

    def _emulator(self) -> Emulator:
        from edgebuild.devices.emulation import sysroot

        return sysroot.prepare(cache_folder())

    def _root(self) -> Path:
        from edgebuild.devices.emulation import cpu_profile

        return cpu_profile.view(cache_folder(), _profile(self._profiled()), self._emulator().system)

    def _profiled(self) -> Hardware:
        if self.hardware is None or self.hardware.core is None:
            raise DeviceError("the target declares no [hardware.core]")
        return self.hardware


def _works(regions: Sequence[Region], mcpu: str, emulator: Emulator) -> tuple[Counted, ...]:
    """The work of each; LLVM's tools are started once for the blocks of all."""
    from edgebuild.devices.emulation.mca import block_cycles

    blocks = {block for region in regions for block in region.blocks}
    block_cycles(blocks, mcpu, emulator.llvm_mc, emulator.llvm_mca, _known(emulator.llvm_mca))
    return tuple(_work(region, mcpu, emulator) for region in regions)


def _work(region: Region, mcpu: str, emulator: Emulator) -> Counted:
    from edgebuild.devices.emulation import counted

    cycles = counted.cycles(region.blocks, mcpu, emulator.llvm_mc, emulator.llvm_mca, _known(emulator.llvm_mca))
    caches = {name: CacheWork(each.accesses, each.misses) for name, each in region.caches.items()}
    return Counted(region.instructions, region.classes, caches, cycles / region.covered, region.covered)


@cache
def _known(analyser: Path) -> dict[str, float]:
    """Cycles of the blocks that this process had analysed before: those of a file are those of its layers as well."""
    return {}


def cache_folder() -> Path:
    """Where the emulator is set up: one place a user, shared by all projects."""
    named = os.environ.get("EDGEBUILD_EMULATOR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else home / "edgebuild" / "emulator"


def setup(
    progress: Callable[[str], None],
    *,
    verify: bool = False,
    faster: bool = False,
    brought: Path | None = None,
    mirror: str | None = None,
) -> dict[str, Any]:
    """Set the emulator up (see `sysroot.prepare`); the folder and what was fetched, with digests.

    Files come from `brought`, a folder or archive that `download` made, or from the network, where `mirror` names a
    mirror of Debian that is asked before the others.
    """
    from edgebuild.devices.emulation import supply, sysroot

    files: supply.Supply = supply.Brought(brought) if brought else supply.Network(mirror)
    emulator = sysroot.prepare(cache_folder(), verify=verify, quicken=faster, supply=files, progress=progress)
    return {"folder": str(cache_folder()), "parts": emulator.manifest()}


def download(
    progress: Callable[[str], None], folder: Path, *, machine: str | None, faster: bool, mirror: str | None
) -> dict[str, Any]:
    """Bring into `folder` all files that a set-up takes on a `machine` (None: as this one) without a network."""
    from edgebuild.devices.emulation import supply, sysroot
    from edgebuild.devices.emulation.host import this_host

    machine = machine or this_host().machine
    count = sysroot.download(folder, machine, quicken=faster, supply=supply.Network(mirror), progress=progress)
    return {"folder": str(folder), "machine": machine, "files": count}


def _profile(hardware: Hardware) -> Any:
    from edgebuild.devices.emulation.cpu_profile import CacheLevel, CpuProfile

    core = hardware.core
    assert core is not None  # every caller has asked
    return CpuProfile(
        cpu=hardware.cpu,
        implementer=core.implementer,
        part=core.part,
        variant=core.variant,
        revision=core.revision,
        features=core.features,
        cores=hardware.cores,
        clock_hz=int(hardware.core_clock),
        ram_bytes=hardware.core_ram,
        caches=tuple(CacheLevel(c.level, c.kind, c.size, c.ways, c.shared_by) for c in core.caches),
        board=core.board,
    )
