"""Parity: the float conversion must answer as the torch model does, within a tolerance."""

from __future__ import annotations

from typing import Any

from edgebuild.gates._remedies import Tried
from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.target import Gate, reaches


class Parity:
    """The limit is the largest difference relative to the largest output, such as "1e-3"; never bit equality."""

    @staticmethod
    def limit(text: str) -> float:
        """The tolerance, a plain number above zero; ValueError otherwise."""
        try:
            tolerance = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a plain number such as 1e-3") from None
        if not 0 < tolerance < 1:
            raise ValueError(f"a tolerance must be above 0 and below 1, got {text!r}")
        return tolerance

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when no held-out example differs by more; the reason tells what quantization did on top.

        Where a device ran some of the examples and this machine all, neither may differ by more, and the evidence is
        the device's.
        """
        parity = evidence["parity"]
        found, device = parity["converted"], parity.get("device")
        fidelity = (device or parity)["origin"]["fidelity"]
        final = parity["candidate"]
        apart = max(found["relative"], device["converted"]["relative"]) if device else found["relative"]
        status: Status = "pass" if apart <= self.limit(gate.limit) else "fail"
        reason = f"{_told(found, final)} at {final['snr_db']:.1f} dB{_there(device)}"
        if status == "pass" and not reaches(fidelity, gate.fidelity):
            status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
        return Verdict("parity", gate.limit, "relative", status, reason, fidelity, found["n"], apart, apart, apart)

    def mend(self, gate: Gate, verdict: Verdict, evidence: dict[str, Any], tried: Tried) -> str:
        """No recipe changes what the conversion makes of the float model."""
        return "a model that answers the same twice (no randomness, no training mode): no recipe mends a conversion"


def _there(device: dict[str, Any] | None) -> str:
    """The same of the device's own outputs, where they are not those that all else is about."""
    if device is None:
        return ""
    where, found, final = device["origin"]["device"], device["converted"], device["candidate"]
    said = f"off by {found['relative']:.1e} on {found['n']} examples, {final['snr_db']:.1f} dB on {final['n']}"
    return f"; on {where} {said}"


def _told(found: dict[str, Any], final: dict[str, Any]) -> str:
    """By the share of equal answers, or where answers are values by how far these are apart."""
    if "agreement" in found:
        return f"float conversion agrees on {found['agreement']:.2%}, the shipped file on {final['agreement']:.2%}"
    return (
        f"float conversion is off by {found['relative']:.1e}, the shipped file by {final['relative']:.1e} of the range"
    )
