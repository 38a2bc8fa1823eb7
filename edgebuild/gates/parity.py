"""Parity: the float conversion must answer as the torch model does, within a tolerance."""

from __future__ import annotations

from typing import Any

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
        """Pass when no held-out example differs by more; the reason tells what quantization did on top."""
        found, fidelity = evidence["parity"]["converted"], evidence["parity"]["origin"]["fidelity"]
        apart, final = found["relative"], evidence["parity"]["candidate"]
        status: Status = "pass" if apart <= self.limit(gate.limit) else "fail"
        reason = f"{_told(found, final)} at {final['snr_db']:.1f} dB"
        if status == "pass" and not reaches(fidelity, gate.fidelity):
            status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
        return Verdict("parity", gate.limit, "relative", status, reason, fidelity, found["n"], apart, apart, apart)


def _told(found: dict[str, Any], final: dict[str, Any]) -> str:
    """By the share of equal answers, or where answers are values by how far these are apart."""
    if "agreement" in found:
        return f"float conversion agrees on {found['agreement']:.2%}, the shipped file on {final['agreement']:.2%}"
    return (
        f"float conversion is off by {found['relative']:.1e}, the shipped file by {final['relative']:.1e} of the range"
    )
