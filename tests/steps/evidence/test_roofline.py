"""The estimate of time is the formula of Williams 2009, worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.spec.evidence import Estimated, Footprint, Latencies, Weight
from edgebuild.spec.target import Roofline as Rates
from edgebuild.steps.evidence.roofline import Roofline
from tests import tiny
from tests.steps.evidence import folders

RATES = Rates(peak=2e12, bandwidth=1e9, source="a data sheet")


@pytest.mark.parametrize(
    ("macs", "size", "seconds"),
    [
        (10**9, 1, 1e-3),  # 2·10⁹ operations at 2·10¹² a second
        (1, 10**6, 1e-3),  # 10⁶ bytes at 10⁹ a second
        (10**9, 10**6, 1e-3),  # both at once: they overlap
        (2 * 10**9, 10**6, 2e-3),
    ],
)
def test_the_slower_of_arithmetic_and_memory_decides(macs: int, size: int, seconds: float) -> None:
    weight = Weight(size, size, 7, macs)
    assert Roofline(RATES, ("onnx",)).seconds(weight) == pytest.approx(seconds)


def test_the_evidence_is_an_estimate_with_its_source_and_ranks_the_formats(tmp_path: Path) -> None:
    def weighed(candidate: int, baseline: int) -> Footprint:
        return Footprint(*(Weight(size, size, 7, 0) for size in (candidate, baseline)))

    inputs = {
        "footprint/onnx": folders.evidence(tmp_path / "onnx", weighed(2000, 4000)),
        "footprint/tflite": folders.evidence(tmp_path / "tflite", weighed(1000, 4000)),
    }
    out = tiny.perform(Roofline(RATES, ("onnx", "tflite")), tmp_path / "out", inputs)
    onnx, tflite = (folders.read(Latencies, out).formats[name] for name in ("onnx", "tflite"))
    assert isinstance(onnx, Estimated)
    assert (onnx.fidelity, onnx.device, onnx.source) == ("estimated", "roofline", "a data sheet")
    assert onnx.candidate_seconds == pytest.approx((2e-6,))
    assert onnx.baseline_seconds == pytest.approx((4e-6,))
    assert [onnx.speed, tflite.speed] == pytest.approx([1.0, 0.5])
