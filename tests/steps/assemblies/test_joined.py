"""What is measured of an assembly's parts becomes evidence on the whole: answers, bytes, memory, work and time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.assemblies.cascade import Cascade
from edgebuild.devices.timing import predicted
from edgebuild.devices.timing.rounds import joined
from edgebuild.spec import documents, drawing, evidence
from edgebuild.spec.artifact import Step
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import (
    RULE,
    VERDICTS,
    CacheWork,
    Comparison,
    Converted,
    Counted,
    Evidence,
    Footprint,
    Joined,
    Judged,
    OnDevice,
    Parity,
    PartRuns,
    PartsRuns,
    Rate,
    Rule,
    Status,
    Verdict,
    Verdicts,
)
from edgebuild.steps.assemblies.joined_count import JoinedCount, mean
from edgebuild.steps.assemblies.joined_footprint import JoinedFootprint
from edgebuild.steps.assemblies.joined_outputs import JoinedOutputs
from edgebuild.steps.assemblies.joined_parity import JoinedParity
from edgebuild.steps.assemblies.joined_parts import JoinedParts
from edgebuild.steps.assemblies.with_fallback import WithFallback
from tests import measured, tiny
from tests.steps.evidence import folders

MODEL = TimeModel("cortex-a72", 2.75e9, {"l1d": 5.0}, (Band(1, 0.3),), 0.25, ("a paper",))
PARTS = ("small", "large")  # not in the order of the alphabet, as documents sort names
RUNS = PartsRuns({"small": PartRuns(100, 100, Rate(1, 1, 1)), "large": PartRuns(10, 100, Rate(0.1, 0.05, 0.2))})
SMALL = Counted(1000, {"simd": 600}, {"l1d": CacheWork(100, 10), "l2": CacheWork(10, 1)}, 800.0, 1.0)
LARGE = Counted(5000, {"simd": 4000, "load": 50}, {"l1d": CacheWork(900, 90), "l2": CacheWork(90, 9)}, 4000.0, 0.9)


def rule(folder: Path) -> tuple[str, Path]:
    folder.mkdir()
    documents.write(folder / RULE, Rule("cascade", {"temperature": 1.0, "threshold": 0.9}))
    return "rule", folder


def runs(folder: Path) -> tuple[str, Path]:
    folder.mkdir()
    documents.write(folder / "runs.json", RUNS)
    return "outputs", folder


def outputs(folder: Path, values: np.ndarray, device: str = "that") -> tuple[str, Path]:
    folder.mkdir()
    np.savez(folder / "outputs.npz", **{"0": values})
    documents.write(folder / evidence.ORIGIN, measured.origin(device=device))
    return "outputs", folder


@pytest.mark.parametrize("ran", [("all", "all"), (40, "all"), (40, 60), ("all", 60)])
def test_answers_are_joined_example_by_example_where_every_part_ran(
    made: tiny.Made, tmp_path: Path, ran: tuple[int | str, int | str]
) -> None:
    total = len(np.load(made["data"] / "test.labels.npy"))
    rng = np.random.default_rng(0)
    whole = [rng.normal(0, 3, (total, 4)).astype(np.float32) for _ in PARTS]
    answers, counts = {}, [total if each == "all" else int(each) for each in ran]
    for name, values, count in zip(PARTS, whole, counts, strict=True):
        answers[f"answers/{name}"] = outputs(tmp_path / name, values[drawing.chosen(total, count)], name)
    inputs = {"rule": rule(tmp_path / "rule"), "data": ("data", made["data"]), **answers}
    folder = tiny.perform(JoinedOutputs(Cascade.router, PARTS), tmp_path / "out", inputs)
    rows = drawing.chosen(total, min(counts))
    shares = np.exp(whole[0].astype(float))
    sure = (shares.max(1) / shares.sum(1) >= 0.9)[rows]
    expected = np.where(sure[:, None], whole[0][rows], whole[1][rows])
    assert np.array_equal(np.load(folder / "outputs.npz")["0"], expected)
    told = documents.read(PartsRuns, folder / "runs.json").parts
    assert (told["small"].runs, told["large"].runs, told["large"].of) == (len(rows), int((~sure).sum()), len(rows))
    assert told["large"].share.low < told["large"].share.accuracy < told["large"].share.high


def test_bytes_are_those_of_all_parts(tmp_path: Path) -> None:
    float_ = measured.weight(9000)
    weighed = {
        f"footprint/{name}": Footprint(measured.weight(size), float_)
        for name, size in zip(PARTS, (10, 300), strict=True)
    }
    whole = documents.read(Footprint, _evidence(JoinedFootprint(PARTS), tmp_path / "f", weighed))
    assert (whole.candidate.bytes, whole.baseline.bytes) == (310, 9000)


def test_the_conversion_of_every_part_is_kept_by_its_name(tmp_path: Path) -> None:
    good = Comparison(9, 0.1, 1e-6, 1.0, 90.0)
    bad = replace(good, relative=0.5)
    parity = {
        f"parity/{name}": Parity(
            measured.origin(), {"output": Converted(each, good)}, OnDevice(measured.origin("emulated"), {})
        )
        for name, each in zip(PARTS, (good, bad), strict=True)
    }
    whole = documents.read(Parity, _evidence(JoinedParity(PARTS), tmp_path / "p", parity))
    assert {name: one.converted.relative for name, one in whole.outputs.items()} == {
        "small.output": 1e-6,
        "large.output": 0.5,
    }
    assert whole.device is not None


def test_work_counts_as_often_as_each_part_runs_at_the_upper_end(tmp_path: Path) -> None:
    inputs = {f"count/{name}": each for name, each in zip(PARTS, (SMALL, LARGE), strict=True)}
    folder = tmp_path / "c"
    counted = documents.read(Counted, _evidence(JoinedCount(PARTS), folder, inputs, runs=runs(tmp_path / "runs")))
    assert counted == mean([SMALL, LARGE], [1, 0.2])
    assert (counted.instructions, counted.classes, counted.cycles) == (2000, {"simd": 1400, "load": 10}, 1600.0)
    assert counted.caches == {"l1d": CacheWork(280, 28), "l2": CacheWork(28, 3)}


def test_the_mean_has_the_ends_of_the_share_and_the_worst_case_has_all_parts(tmp_path: Path) -> None:
    weight = Footprint(measured.weight(10), measured.weight(9000))
    inputs = {f"count/{name}": each for name, each in zip(PARTS, (SMALL, LARGE), strict=True)}
    inputs |= {f"footprint/{name}": weight for name in PARTS}
    step = JoinedParts(PARTS, "onnx", MODEL, 1.5e9)
    more = {"runs": runs(tmp_path / "runs"), "rule": rule(tmp_path / "rule")}
    whole = documents.read(Joined, _evidence(step, tmp_path / "j", inputs, **more))
    small, large = (predicted.seconds(each, MODEL, 1.5e9, 1) for each in (SMALL, LARGE))
    assert whole.times is not None
    assert [each.name for each in whole.parts] == ["small", "large"]
    assert whole.times.mean == pytest.approx(small + 0.1 * large)
    assert (whole.times.low, whole.times.high) == pytest.approx((small + 0.05 * large, small + 0.2 * large))
    assert whole.times.worst == pytest.approx(small + large)


def test_rounds_take_the_mean_and_as_many_take_the_slow_way_as_need_it() -> None:
    rounds = [(10, 100)] * 200
    mean_of_round, path = joined(rounds, [1, 0.035])
    assert {*mean_of_round} == {14}  # 10 + 0.035 · 100, in whole nanoseconds
    assert (path.count(110), path.count(10)) == (7, 193)
    assert sorted(path)[math.ceil(0.99 * 200) - 1] == 110  # p99 sees the slow way
    assert sorted(path)[math.ceil(0.95 * 200) - 1] == 10


def _evidence(step: Step, folder: Path, inputs: Mapping[str, object], **more: tuple[str, Path]) -> Path:
    made = {role: folders.evidence(folder / role.replace("/", "-"), each) for role, each in inputs.items()}
    return tiny.perform(step, folder / "out", made | more) / evidence.FILE


@pytest.mark.parametrize(("status", "together"), [("pass", "pass"), ("inconclusive", "inconclusive"), ("fail", "fail")])
def test_a_fall_back_that_does_not_pass_stops_the_bundle(status: Status, together: Status, tmp_path: Path) -> None:
    inputs = {}
    for role, said in (("whole", "pass"), ("fallback", status)):
        one = Verdict("accuracy", "1 pp", "share", said, role, "hardware", 9, 0.0, -0.1, 0.1)  # type: ignore[arg-type]
        folder = tmp_path / role
        folder.mkdir()
        documents.write(folder / VERDICTS, Verdicts(said, "onnx", {"onnx": Judged(said, (one,), Evidence())}))  # type: ignore[arg-type]
        inputs[role] = ("verdicts", folder)
    done = documents.read(Verdicts, tiny.perform(WithFallback("fallback"), tmp_path / "out", inputs) / VERDICTS)
    assert (done.status, done.shipped.status) == (together, together)
    assert [(each.name, each.status) for each in done.shipped.verdicts] == [
        ("accuracy", "pass"),
        ("accuracy of fallback", status),
    ]
