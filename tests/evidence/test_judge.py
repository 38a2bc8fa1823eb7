"""The judge: every gate on every format, and the format that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgebuild.evidence.judge import Judge
from edgebuild.spec.target import Gate
from tests import tiny
from tests.evidence import folders

GATES = (Gate("size", "1000 B"), Gate("accuracy", "1 pp"))
GOOD, BAD = 900, 1100  # bytes
MANY, FEW = 5000, 50  # examples


def judge(tmp_path: Path, gates: tuple[Gate, ...] = GATES, **formats: tuple[int, int, float]) -> Any:
    """Verdicts on formats of these bytes, numbers of examples, and times relative to the first."""
    inputs, shared = {}, {}
    for name, (size, examples, speed) in formats.items():
        weighed = {"candidate": {"bytes": size}, "baseline": {"bytes": 4000}}
        counted = {"lost": 0, "won": 0, "n": examples, "origin": {"fidelity": "host"}}
        inputs[f"footprint/{name}"] = folders.evidence(tmp_path / f"footprint-{name}", weighed)
        inputs[f"accuracy/{name}"] = folders.evidence(tmp_path / f"accuracy-{name}", counted)
        shared[name] = {"speed": speed, "candidate_seconds": [speed], "baseline_seconds": [1.0]}
    times = {"fidelity": "host", "device": "that", "formats": shared}
    inputs["latency"] = folders.evidence(tmp_path / "latency", times)
    out = tiny.perform(Judge(gates, tuple(formats)), tmp_path / "out", inputs)
    return folders.read(out, "verdicts.json")


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
    found = judge(tmp_path, onnx=onnx, tflite=tflite)
    assert (found["format"], found["status"]) == (chosen, status)
    assert found["formats"][chosen]["status"] == status


def test_each_format_has_a_verdict_for_each_gate_and_its_own_evidence(tmp_path: Path) -> None:
    found = judge(tmp_path, onnx=(BAD, FEW, 1.0), tflite=(GOOD, MANY, 2.0))["formats"]
    assert [(v["metric"], v["status"]) for v in found["onnx"]["verdicts"]] == [
        ("size", "fail"),
        ("accuracy", "inconclusive"),
    ]
    assert {v["status"] for v in found["tflite"]["verdicts"]} == {"pass"}
    assert found["onnx"]["evidence"]["footprint"]["candidate"]["bytes"] == BAD
    assert found["tflite"]["evidence"]["latency"] == {
        "fidelity": "host",
        "device": "that",
        "speed": 2.0,
        "candidate_seconds": [2.0],
        "baseline_seconds": [1.0],
    }


def test_without_a_gate_nothing_is_proved(tmp_path: Path) -> None:
    assert judge(tmp_path, gates=(), onnx=(GOOD, MANY, 1.0))["status"] == "inconclusive"
