"""Times of the files that a recipe made: a short measurement, interleaved."""

from __future__ import annotations

from pathlib import Path

from edgebuild.devices.local import Local
from edgebuild.spec import evidence
from edgebuild.spec.target import Runtime, Timing
from edgebuild.steps.evidence.stage_times import StageTimes
from tests import tiny
from tests.steps.evidence import folders


def test_each_file_is_compared_with_the_one_before(made: tiny.Made, tmp_path: Path) -> None:
    timing = Timing(looks=(3,), iterations=20, warmup_iterations=2, warmup=0.01)
    files = {f"file/{k}": ("onnx", made[name]) for k, name in enumerate(("onnx", "onnx-int8", "onnx"))}
    step = StageTimes(Local(), "host", Runtime("onnx"), timing)
    out = tiny.perform(step, tmp_path / "out", files | {"data": ("data", made["data"])})
    times = folders.read(evidence.StageTimes, out)
    assert (len(times.seconds), [len(each) for each in times.log_ratios]) == (3, [3, 3])
    there, back = times.log_ratios
    assert abs(sorted(there)[1] + sorted(back)[1]) < 1.0  # the third file is the first
    assert (times.fidelity, times.void) == ("host", None)
    assert len(folders.samples(out)) == 3
