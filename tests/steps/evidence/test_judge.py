"""The judge: every gate on every format, and the format that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.evidence import VERDICTS, Footprint, Latencies, Verdicts, known
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.judge import Judge
from tests import tiny
from tests.measured import accuracy, estimated, predicted, weight
from tests.steps.evidence import folders

GATES = (Gate("size", "1000 B"), Gate("accuracy", "1 pp"))
GOOD, BAD = 900, 1100  # bytes
MANY, FEW = 5000, 50  # examples


def judge(tmp_path: Path, gates: tuple[Gate, ...] = GATES, **formats: tuple[int, int, float]) -> Verdicts:
    """Verdicts on formats of these bytes, numbers of examples, and times relative to the first."""
    inputs, shared = {}, {}
    for name, (size, examples, speed) in formats.items():
        weighed, right = Footprint(weight(size), weight(4000)), accuracy(0, 0, examples).accuracy
        inputs[f"footprint/{name}"] = folders.evidence(tmp_path / f"footprint-{name}", weighed)
        inputs[f"accuracy/{name}"] = folders.evidence(tmp_path / f"accuracy-{name}", right)
        shared[name] = estimated(speed, 1.0, speed)
    inputs["latency"] = folders.evidence(tmp_path / "latency", Latencies(shared))
    out = tiny.perform(Judge(gates, tuple(formats)), tmp_path / "out", inputs)
    return folders.read(Verdicts, out, VERDICTS)


@pytest.mark.parametrize(
    ("onnx", "tflite", "chosen", "status"),
    [
        ((GOOD, MANY, 1.0), (GOOD, MANY, 0.5), "tflite", "pass"),
        ((GOOD, MANY, 1.0), (GOOD, MANY, 2.0), "onnx", "pass"),
        ((GOOD, MANY, 1.0), (BAD, MANY, 0.5), "onnx", "pass"),
        ((BAD, MANY, 1.0), (GOOD, MANY, 2.0), "tflite", "pass"),
        ((GOOD, MANY, 1.0), (GOOD, FEW, 0.5), "onnx", "pass"),
        ((BAD, MANY, 1.0), (GOOD, FEW, 2.0), "tflite", "inconclusive"),
        ((GOOD, FEW, 1.0), (GOOD, FEW, 2.0), "onnx", "inconclusive"),
        ((BAD, MANY, 1.0), (BAD, MANY, 0.5), "tflite", "fail"),
        ((BAD, FEW, 1.0), (BAD, MANY, 2.0), "onnx", "fail"),
        ((GOOD, MANY, 1.0), (GOOD, MANY, 1.0), "onnx", "pass"),
    ],
)
def test_the_fastest_of_the_best_ships(
    tmp_path: Path, onnx: tuple[int, int, float], tflite: tuple[int, int, float], chosen: str, status: str
) -> None:
    verdicts = judge(tmp_path, onnx=onnx, tflite=tflite)
    assert (verdicts.format, verdicts.status, verdicts.shipped.status) == (chosen, status, status)


def test_each_format_has_a_verdict_for_each_gate_and_its_own_evidence(tmp_path: Path) -> None:
    judged = judge(tmp_path, onnx=(BAD, FEW, 1.0), tflite=(GOOD, MANY, 2.0)).formats
    assert [(v.metric, v.status) for v in judged["onnx"].verdicts] == [("size", "fail"), ("accuracy", "inconclusive")]
    assert {v.status for v in judged["tflite"].verdicts} == {"pass"}
    assert known(judged["onnx"].evidence.footprint).candidate.bytes == BAD
    assert judged["tflite"].evidence.latency == estimated(2.0, 1.0, 2.0)


def test_without_a_gate_nothing_is_proved(tmp_path: Path) -> None:
    assert judge(tmp_path, gates=(), onnx=(GOOD, MANY, 1.0)).status == "inconclusive"


@pytest.mark.parametrize(
    ("metric", "limit", "alone", "identical"),
    [
        ("accuracy", "1 pp", "inconclusive", "pass"),  # 30 examples prove nothing, and nothing has to be proved
        ("latency", "+3 %", "inconclusive", "pass"),
        ("latency", "+0 %", "inconclusive", "pass"),
        ("latency", "-50 %", "fail", "fail"),
        ("latency", "1.1 s", "inconclusive", "inconclusive"),  # what it takes is another matter
        ("instructions", "+0 %", "inconclusive", "pass"),
    ],
)
def test_a_file_that_is_its_own_baseline_has_changed_nothing(
    tmp_path: Path, metric: str, limit: str, alone: str, identical: str
) -> None:
    files = [Input("tflite", digest, tmp_path) for digest in ("a", "b")]
    for other, status in ((files[1], alone), (files[0], identical)):
        out = tmp_path / status / str(other.digest)
        out.mkdir(parents=True)
        near = predicted(1.0, 1.0, ratio_limits=(0.7, 1.3), work=(9000, 9000))
        evidence = {
            "accuracy/tflite": folders.evidence(out / "accuracy", accuracy(0, 0, 30).accuracy),
            "latency": folders.evidence(out / "latency", Latencies({"tflite": near})),
        }
        inputs = {role: Input(kind, "0", path) for role, (kind, path) in evidence.items()}
        inputs |= {"candidate/tflite": files[0], "baseline/tflite": other}
        Judge((Gate(metric, limit),), ("tflite",)).run(StepIO(inputs, out, out))
        (verdict,) = folders.read(Verdicts, out, VERDICTS).shipped.verdicts
        assert verdict.status == status
