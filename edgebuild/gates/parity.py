"""Parity: the float conversion must answer as the torch model does, within a tolerance."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.spec import evidence as kinds
from edgebuild.spec.evidence import Converted, Evidence, OnDevice, Status, Verdict, known
from edgebuild.spec.metric import Metric, Tried
from edgebuild.spec.target import Gate, reaches


class Parity(Metric[float]):
    """The limit is the largest difference relative to the largest output, such as "1e-3"; never bit equality."""

    @classmethod
    def limit(cls, text: str) -> float:
        """The tolerance, a plain number above zero; ValueError otherwise."""
        try:
            tolerance = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a plain number such as 1e-3") from None
        if not 0 < tolerance < 1:
            raise ValueError(f"a tolerance must be above 0 and below 1, got {text!r}")
        return tolerance

    by_output: ClassVar[bool] = True

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass when no output of any held-out example differs by more; the reason tells what quantization did on top.

        The output that differs most decides, and is named where there are several. Where a device ran some of the
        examples and this machine all, neither may differ by more, and the evidence is the device's.
        """
        parity = known(evidence.parity)
        fidelity = (parity.device or parity).origin.fidelity
        name = max(parity.outputs, key=lambda output: _apart(parity, output))
        here, apart = parity.outputs[name], _apart(parity, name)
        status: Status = "pass" if apart <= self.limit(gate.limit) else "fail"
        reason = f"{_compared(here)} at {here.candidate.snr_db:.1f} dB{_on_device(parity.device, name)}"
        if len(parity.outputs) > 1:
            reason = f"worst of {len(parity.outputs)} outputs: {name!r}, {reason}"
        if status == "pass" and not reaches(fidelity, gate.fidelity):
            status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
        n = here.converted.n
        return Verdict("parity", gate.limit, "relative", status, reason, fidelity, n, apart, apart, apart)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """No recipe changes what the conversion makes of the float model."""
        return "a model that answers the same twice (no randomness, no training mode): no recipe mends a conversion"


def _apart(parity: kinds.Parity, name: str) -> float:
    """How far an output of the float conversion is from the model's, here and on a device that ran some examples."""
    places = [parity.outputs[name], *([parity.device.outputs[name]] if parity.device else [])]
    return max(output.converted.relative for output in places)


def _on_device(device: OnDevice | None, name: str) -> str:
    """The same of the device's own outputs, where they are not those that all else is about."""
    if device is None:
        return ""
    output, where = device.outputs[name], device.origin.device
    distance = f"off by {output.converted.relative:.1e} on {output.converted.n} examples"
    return f"; on {where} {distance}, {output.candidate.snr_db:.1f} dB on {output.candidate.n}"


def _compared(output: Converted) -> str:
    """By the share of equal answers, or where answers are values by how far these are apart."""
    converted, shipped = output.converted, output.candidate
    if converted.agreement is None or shipped.agreement is None:
        distances = f"is off by {converted.relative:.1e}, the shipped file by {shipped.relative:.1e} of the range"
        return f"float conversion {distances}"
    return f"float conversion agrees on {converted.agreement:.2%}, the shipped file on {shipped.agreement:.2%}"
