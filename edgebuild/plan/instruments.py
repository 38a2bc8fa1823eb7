"""Chooses the devices that measure for a target: the first of those it declares that is there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from edgebuild.spec.checked import check
from edgebuild.spec.core import TimeModel
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.registry import DEVICES, FORMATS
from edgebuild.spec.target import DeviceSpec, Fidelity, Hardware, Runtime, Target
from edgebuild.travels import runner_loaders

_HOST = "local"
_ARITHMETIC = ("cpu", "emulator", "python", *runner_loaders.PACKAGES)


@dataclass(frozen=True)
class Instrument:
    """A device that will be used, and what its evidence is worth for the target."""

    device: Device
    hardware: Hardware

    @property
    def fidelity(self) -> Fidelity:
        """What its evidence is worth."""
        return self.device.fidelity(self.hardware)

    def code(self, *formats: str) -> tuple[str, ...]:
        """Modules whose code is part of the keys of what it measures in files of these formats: its own and theirs.

        The runner finds its loaders by their names, so that no import of it leads to them.
        """
        kinds = [FORMATS.get(name) for name in formats]
        own = DEVICES.module(self.device.transport)
        return (own, *(module for kind in kinds for module in (kind.__module__, kind.loader)))

    @property
    def arithmetic(self) -> dict[str, str]:
        """The part of the fingerprint that outputs depend on: the processor, what emulates it, and its runtimes."""
        return {name: text for name, text in self.fingerprint.items() if name in _ARITHMETIC}

    def runtime(self, declared: Runtime) -> Runtime:
        """The runtime as it is there: only the target's own hardware has the target's execution providers."""
        return declared if self.fidelity == "hardware" else replace(declared, providers=())

    def most(self, most: int | None = None) -> int | None:
        """The most examples that it answers where no more than `most` are asked; None where nothing limits them."""
        return min((limit for limit in (most, self.device.examples) if limit is not None), default=None)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What it is; asked once a plan, since a remote device must be called."""
        return self.device.fingerprint()


@dataclass
class Instruments:
    """The devices of one target. `notices` tells of those that were passed over, and how to mend that.

    `boards` has the other machines that the targets of a build measure on: by what no other has, their names.
    """

    target: Target
    notices: list[str] = field(default_factory=list)
    boards: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """UsageError for an unknown transport or a wrong option; no device is called yet."""
        self.declared = [(spec, self.open(spec, self.target)) for spec in self.target.devices]
        self._reasons: dict[int, str | None] = {}

    def best(self, what: str) -> Instrument:
        """The first device that is there and trusted to measure `what`; DeviceError when there is none.

        UsageError where it is a machine that goes by another name as well.
        """
        reasons: list[str] = []
        for number, (spec, instrument) in enumerate(self.declared):
            if what in spec.measures:
                reason = self._why_not(number)
                if reason is None:
                    self._tell(reasons, instrument)
                    self._name(spec, instrument)
                    return instrument
                reasons.append(f"{spec.transport}: {reason}")
        why = "; ".join(reasons) or "none is declared for it"
        raise DeviceError(f"no device can measure {what}: {why}", file=self.target.file, key="devices")

    def declares(self, what: str) -> bool:
        """Whether any device is declared to measure `what`."""
        return any(what in spec.measures for spec, _ in self.declared)

    def counter(self) -> tuple[Instrument, TimeModel] | None:
        """The device that counts work and what makes time of it; None where time is measured or estimated."""
        core = self.target.hardware.core
        if core is None or core.time is None or not self.declares("latency"):
            return None
        instrument = self.best("latency")
        return (instrument, core.time) if instrument.fidelity == "emulated" and instrument.device.counts else None

    @cached_property
    def host(self) -> Instrument:
        """This machine; one for all that the target measures, so that it is asked once what it is."""
        return Instrument(DEVICES.get(_HOST)(), self.target.hardware)

    @staticmethod
    def open(spec: DeviceSpec, target: Target) -> Instrument:
        """A device by its description; UsageError for an unknown transport or a wrong option."""
        kind = DEVICES.get(spec.transport, file=target.file, key=f"{spec.key}.transport")
        device: Device = check(kind, spec.options, file=target.file, prefix=spec.key)
        return Instrument(device.attach(target.hardware), target.hardware)

    def _why_not(self, number: int) -> str | None:
        if number not in self._reasons:
            self._reasons[number] = self.declared[number][1].device.why_unusable()
        return self._reasons[number]

    def _name(self, spec: DeviceSpec, instrument: Instrument) -> None:
        if (board := instrument.device.board) is not None:
            identity, name = board
            known = self.boards.setdefault(identity, name)
            if known != name:
                message = f"{name!r} and {known!r} are one machine"
                raise UsageError(
                    message, file=self.target.file, key=spec.key, hint="give it one name: one lease a device"
                )

    def _tell(self, reasons: list[str], chosen: Instrument) -> None:
        if reasons:
            text = f"{self.target.name}: {'; '.join(reasons)}; {chosen.device.transport} stands in for it"
            if text not in self.notices:
                self.notices.append(text)


def addressed(address: str) -> DeviceSpec:
    """The device that an address such as `ssh://pi@host` names; UsageError when it cannot be understood."""
    transport, _, place = address.partition("://")
    kind = DEVICES.get(transport, key="--device")
    return DeviceSpec(transport, options=kind.from_address(place) if place else {}, key="--device")


def survey(target: Target) -> list[dict[str, str | None]]:
    """Each device that the target declares: what its evidence is worth, and why it cannot be used here."""
    rows: list[dict[str, str | None]] = []
    for spec, instrument in Instruments(target).declared:
        fidelity, reason = instrument.fidelity, instrument.device.why_unusable()
        rows.append({"target": target.name, "transport": spec.transport, "fidelity": fidelity, "why_unusable": reason})
    return rows
