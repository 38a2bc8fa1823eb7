"""Parity: the float conversion within a tolerance; what quantization does on top is told, not judged."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.gates.parity import Parity
from edgebuild.spec import evidence
from edgebuild.spec.evidence import ONLY, Converted, Evidence, OnDevice, Verdict
from edgebuild.spec.registry import TASKS
from edgebuild.spec.target import Fidelity, Gate
from edgebuild.steps.evidence.parity import compare
from tests import measured

CLASSES = TASKS.get("classification")()
REFERENCE = np.array([[1.0, -4.0], [2.0, 0.5]])


def judge(apart: float, *, quantized: float = 0.0, fidelity: Fidelity = "host", wanted: Fidelity = "host") -> Verdict:
    """A conversion whose first value is `apart` off, and a shipped file whose first is `quantized` off."""
    first = np.array([[1.0, 0.0], [0.0, 0.0]])
    output = Converted(*(compare(REFERENCE + off * first, REFERENCE, CLASSES) for off in (apart, quantized)))
    parity = evidence.Parity(measured.origin(fidelity), {ONLY: output})
    return Parity().judge(Gate("parity", "1e-3", fidelity=wanted), Evidence(parity=parity))


def test_a_difference_is_relative_to_the_largest_output() -> None:
    assert judge(0.0039).status == "pass"
    assert judge(0.0041).status == "fail"
    verdict = judge(0.0041)
    assert verdict.estimate == pytest.approx(0.0041 / 4)
    assert verdict.n == 2


def test_quantization_is_told_but_not_judged() -> None:
    verdict = judge(0, quantized=-9)
    assert verdict.status == "pass"
    assert verdict.reason == "float conversion agrees on 100.00%, the shipped file on 50.00% at -5.8 dB"


def test_values_that_are_not_numbers_fail() -> None:
    assert judge(np.nan).status == "fail"


def test_the_fidelity_is_that_of_the_compared_outputs_and_too_low_a_one_does_not_pass() -> None:
    verdict = judge(0, fidelity="host", wanted="hardware")
    assert (verdict.status, verdict.fidelity) == ("inconclusive", "host")
    assert verdict.reason.endswith(", but only host; the gate asks for hardware")
    assert judge(0, fidelity="hardware", wanted="hardware").status == "pass"
    assert judge(1, fidelity="host", wanted="hardware").status == "fail"


@pytest.mark.parametrize("text", ["0", "1", "-1e-3", "nan", "1e-3 pp", "1 %", "inf"])
def test_a_tolerance_is_a_plain_small_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|tolerance"):
        Parity.limit(text)


def test_a_device_of_its_own_may_not_differ_by_more_either_and_gives_the_fidelity() -> None:
    def judged(here: float, there: float) -> Verdict:
        first = np.array([[1.0, 0.0], [0.0, 0.0]])
        near, far = (compare(REFERENCE + apart * first, REFERENCE, CLASSES) for apart in (here, there))
        device = OnDevice(measured.origin("emulated", "qemu"), {ONLY: Converted(far, far)})
        parity = evidence.Parity(measured.origin(), {ONLY: Converted(near, near)}, device)
        return Parity().judge(Gate("parity", "1e-3", fidelity="emulated"), Evidence(parity=parity))

    assert (judged(0.0039, 0.0039).status, judged(0.0039, 0.0039).fidelity) == ("pass", "emulated")
    assert judged(0.0041, 0).status == judged(0, 0.0041).status == "fail"
    assert judged(0, 0.004).reason.endswith("; on qemu off by 1.0e-03 on 2 examples, 61.2 dB on 2")


def test_of_several_outputs_the_worst_decides_and_is_named_and_a_gate_may_be_about_one() -> None:
    first = np.array([[1.0, 0.0], [0.0, 0.0]])
    near, far = (compare(REFERENCE + apart * first, REFERENCE) for apart in (0.0, 0.0041))
    outputs = {"kind": Converted(near, near), "features": Converted(far, far), "place": Converted(near, far)}
    every = Evidence(parity=evidence.Parity(measured.origin(), outputs))
    gate = Gate("parity", "1e-3")
    verdict = Parity().judge(gate, every)
    assert (verdict.status, verdict.estimate) == ("fail", pytest.approx(0.0041 / 4))
    assert verdict.reason.startswith("worst of 3 outputs: 'features', float conversion is off by 1.0e-03, the shipped")
    assert Parity().judge(gate, evidence.of_output(every, "place")).status == "pass"
    assert Parity().judge(gate, evidence.of_output(every, "features")).status == "fail"
