"""Says what this machine lacks for a project's targets, and what mends each; looks, and changes nothing."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.devices import qemu
from edgebuild.devices.emulation import sysroot
from edgebuild.engine import keys
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.policy import fidelity_of, required
from edgebuild.plan.trust import JUDGED
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project
from edgebuild.spec.target import DeviceSpec, Fidelity, Policy, Target, reaches

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_PYTHON = (3, 11)
_OURS = "edgebuild"
_NOT_OF_A_BUILD = ("all", "dev")
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: what was found, whether that will do, whether any target needs it."""

    subject: str
    found: str
    ok: bool
    needed: bool
    mend: str = ""

    @property
    def state(self) -> str:
        """In one word or two."""
        return "ok" if self.ok else "missing" if self.needed else "not needed"

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data; there is nothing to mend where all is well."""
        return asdict(self) | {"state": self.state, "mend": "" if self.ok else self.mend}


def examine(project: Project, targets: Sequence[Target], models: Sequence[ModelSpec]) -> list[Finding]:
    """Everything that a build of these models for these targets takes; UsageError for a target that means nothing."""
    emulated = any(spec.transport == "qemu" for target in targets for spec in target.devices)
    absent = emulated and sysroot.why_absent(qemu.cache_folder()) is not None
    policy = project.policy()
    return [
        _python(),
        *_packages(targets, models),
        *(finding for target in targets for finding in _devices(target, policy)),
        *_places(project, emulator=absent),
    ]


def ready(findings: Sequence[Finding]) -> bool:
    """Whether all that is needed is there."""
    return all(finding.ok or not finding.needed for finding in findings)


def _python() -> Finding:
    least = ".".join(map(str, _PYTHON))
    version = f"{platform.python_version()} ({sys.executable})"
    return Finding("Python", version, sys.version_info >= _PYTHON, True, f"install Python {least} or newer")


def _packages(targets: Sequence[Target], models: Sequence[ModelSpec]) -> Iterator[Finding]:
    """A finding for each extra of ours, then one for each other package that a model's code names."""
    tools = {_normal(tool) for model in models for tool in model.declared.tools}
    named = {runtime.format for target in targets for runtime in target.runtimes}
    named |= {spec.transport for target in targets for spec in target.devices}
    try:
        extras = _extras()
    except metadata.PackageNotFoundError:
        yield Finding(
            f"package {_OURS}", "runs from a folder, is not installed", False, True, "pip install --editable ."
        )
        return
    for extra in sorted(extras.keys() - {"", *_NOT_OF_A_BUILD}):
        # An extra is called like the format or the device that it serves.
        needed = extra == "torch" or extra in named or bool(tools & extras[extra].keys())
        lacks = [lack for name, required in extras[extra].items() if (lack := _lack(name, required))]
        state = "; ".join(lacks) or ", ".join(f"{name} {keys.version(name)}" for name in extras[extra])
        yield Finding(f"packages for {extra}", state, not lacks, needed, f"pip install '{_OURS}[{extra}]'")
    known = {name for packages in extras.values() for name in packages}
    for name in sorted(tools - known):
        lack = _lack(name, None)
        yield Finding(f"package {name}", lack or keys.version(name), not lack, True, f"pip install {name}")


def _extras() -> dict[str, dict[str, Requirement]]:
    """Our requirements by extra and package; "" is the extra of what is always needed."""
    from packaging.requirements import Requirement

    ours = metadata.metadata(_OURS)
    requirements = [Requirement(text) for text in metadata.requires(_OURS) or ()]
    extras: dict[str, dict[str, Requirement]] = {extra: {} for extra in ("", *(ours.get_all("Provides-Extra") or ()))}
    for each in requirements:
        always = each.marker is None or each.marker.evaluate({"extra": ""})
        for extra, packages in extras.items():
            if always == (extra == "") and (each.marker is None or each.marker.evaluate({"extra": extra})):
                packages[_normal(each.name)] = each
    return extras


def _lack(name: str, required: Requirement | None) -> str:
    """What is wrong with an installed package, in a few words; nothing when it will do, or any version does."""
    installed = keys.version(name)
    if installed == "absent":
        return f"{name} is not installed"
    enough = not required or not required.specifier or required.specifier.contains(installed, prereleases=True)
    return "" if enough or not required else f"{name} {installed} is not {required.specifier}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _devices(target: Target, policy: Policy) -> Iterator[Finding]:
    """Each device of a target; one is needed where no other that gates would believe is there."""
    declared = Instruments(target).declared
    reasons = [instrument.device.why_unusable() for _, instrument in declared]
    needed: set[int] = set()
    for what, metrics in JUDGED.items():
        judged = [line.spec for line in required(target, policy) if line.spec.metric in metrics]
        believed = _believed(declared, what, [fidelity_of(spec, target) for spec in judged])
        there = [number for number in believed if reasons[number] is None]
        needed |= set(there[:1] or believed)
    for number, (spec, instrument) in enumerate(declared):
        reason, subject = reasons[number], f"{target.name}: {spec.transport}"
        state = reason or f"ready ({instrument.fidelity})"
        yield Finding(subject, state, reason is None, number in needed, _mend(spec))


def _believed(declared: list[tuple[DeviceSpec, Instrument]], what: str, fidelities: list[Fidelity]) -> list[int]:
    """The devices that measure `what` well enough for all gates; all that measure it where none does."""
    able = [number for number, (spec, _) in enumerate(declared) if what in spec.measures]
    enough = [number for number in able if all(reaches(declared[number][1].fidelity, least) for least in fidelities)]
    return enough or able


def _mend(spec: DeviceSpec) -> str:
    if spec.transport != "qemu":
        return "see that it is on and can be reached, then: edgebuild devices"
    try:
        sysroot.check_machine()
    except DeviceError as error:
        return error.reason
    return "edgebuild devices setup"


def _places(project: Project, *, emulator: bool) -> Iterator[Finding]:
    """The folders that are written to: whether they can be, and whether there is room."""
    elsewhere = "export {}=/another/disk"
    yield _place("store", project.store, _GIB, True, f"edgebuild cache clear, or {elsewhere.format('EDGEBUILD_STORE')}")
    cache = qemu.cache_folder()
    yield _place("emulator's folder", cache, _GIB, emulator, elsewhere.format("EDGEBUILD_EMULATOR"))
    yield _place("bundles", project.dist, _GIB // 16, True, "edgebuild build --output /another/disk")


def _place(subject: str, folder: Path, least: int, needed: bool, mend: str) -> Finding:
    """Tried on the nearest folder there is, with a file that has no name and leaves no trace."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(subject, f"{folder} cannot be written: {error.strerror}", False, needed, mend)
    room = f"{free / _GIB:.1f} GiB free in {folder}"
    return Finding(subject, room, free >= least, needed, mend)
