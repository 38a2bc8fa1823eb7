"""Tells before a build which gates no device here can satisfy: they ask for better evidence than can be had."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.plan.instruments import Instruments
from edgebuild.spec.target import Fidelity, Gate, reaches

# What gates judge by: the outputs of a device, or its time.
JUDGED = {"outputs": ("accuracy", "parity"), "latency": ("latency", "cold_start", "memory")}


def notices(instruments: Instruments, gates: Sequence[Gate]) -> list[str]:
    """A line for each gate that will be inconclusive, whatever the model is like; the build goes on without it."""
    lines = []
    for what, metrics in JUDGED.items():
        judged = [gate for gate in gates if gate.metric in metrics]
        if judged and instruments.declares(what):
            fidelity = _fidelity(instruments, what)
            lines += [_line(instruments, gate, fidelity) for gate in judged if not reaches(fidelity, gate.fidelity)]
    return lines


def _fidelity(instruments: Instruments, what: str) -> Fidelity:
    """Of the best evidence there will be; time under an emulator is none, where it cannot be made of counted work."""
    core, fidelity = instruments.target.hardware.core, instruments.best(what).fidelity
    if what == "latency" and fidelity == "emulated" and (core is None or core.time is None):
        return instruments.host.fidelity
    return fidelity


def _line(instruments: Instruments, gate: Gate, fidelity: Fidelity) -> str:
    lacking = f"asks for {gate.fidelity} evidence, and here there is only {fidelity}: the verdict will be inconclusive"
    return f"{instruments.target.name}: {gate.metric} {gate.limit!r} {lacking}"
