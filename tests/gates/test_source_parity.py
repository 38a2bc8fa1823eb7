"""Source parity: the imported file's answers against those of the model that came."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.gates.source_parity import SourceParity
from edgebuild.spec import evidence
from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.target import Fidelity, Gate
from edgebuild.steps.evidence.parity import compare
from tests import measured

ORIGINAL = np.array([[1.0, -4.0], [2.0, 0.5]])


def judge(*apart: float, wanted: Fidelity = "host", second: evidence.SecondOpinion | None = None) -> Verdict:
    """Outputs of which the first value of the first example is so far off."""
    first = np.array([[1.0, 0.0], [0.0, 0.0]])
    outputs = {f"output_{k}": compare(ORIGINAL + off * first, ORIGINAL) for k, off in enumerate(apart)}
    parity = evidence.SourceParity(measured.origin("host"), {"keras": "3.15.1"}, outputs, second)
    return SourceParity().judge(Gate("source_parity", "1e-3", fidelity=wanted), Evidence(source_parity=parity))


def test_n_the_largest_difference_and_where_the_model_came_from_are_told() -> None:
    verdict = judge(0.004 * 0.25)
    assert (verdict.status, verdict.n) == ("pass", 2)
    told = "the float file is off by 2.5e-04 of the largest value from the model that came, in keras 3.15.1"
    assert verdict.reason == told


def test_the_worst_output_decides_and_is_named() -> None:
    verdict = judge(0, 0.4)
    assert (verdict.status, verdict.estimate) == ("fail", pytest.approx(0.1))
    assert verdict.reason.startswith("output 'output_1' of the float file is off by 1.0e-01")


def test_evidence_of_too_low_a_fidelity_does_not_pass() -> None:
    assert judge(0, wanted="hardware").status == "inconclusive"


def test_what_another_converter_says_is_told_and_decides_nothing() -> None:
    far = {"output_0": compare(ORIGINAL + 0.4, ORIGINAL)}
    verdict = judge(0, second=evidence.SecondOpinion({"tensorflow": "2.21.0"}, far))
    assert verdict.status == "pass"
    assert verdict.reason.endswith(", and by 1.0e-01 from the file that the converter of tensorflow 2.21.0 makes of it")
    refused = judge(0, second=evidence.SecondOpinion({}, {}, "is refused by TensorFlow: an operator"))
    assert (refused.status, refused.reason) == ("pass", judge(0).reason)
