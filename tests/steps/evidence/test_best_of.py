"""The better of several files ships, and a wrong one must not ship more often than its gate says of a single file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgebuild.plan.limits import gates_of
from edgebuild.spec.evidence import Evidence
from edgebuild.spec.files import read_target
from edgebuild.spec.target import Gate, Policy
from edgebuild.steps.evidence.judge import Judge
from tests import measured, tiny
from tests.plan.conftest import TARGET

ROUNDS = 2000
Passes = Callable[[Gate, np.random.Generator], bool]


def gate(folder: Path, text: str) -> Gate:
    """The gate as a plan for a target of two formats makes it."""
    lines = [line for line in TARGET.splitlines() if not line.startswith("gates")]
    path = folder / "board.toml"
    path.write_text("\n".join([*lines, f"gates = [{text}]"]))
    (made,) = gates_of(read_target(path, "targets/board.toml"), tiny.spec("tiny"), Policy())
    return made


@cache
def accuracy(gate: Gate, lost: int, won: int) -> bool:
    (verdict,) = Judge((gate,), ("onnx", "tflite"), 2).judge(measured.accuracy(lost, won, 2000))
    return verdict.status == "pass"


def drops_by_the_margin(gate: Gate, rng: np.random.Generator) -> bool:
    """A file that is worse by exactly 1 pp, in 4 % of discordant examples."""
    lost, won, _ = rng.multinomial(2000, [0.025, 0.015, 0.96])
    return accuracy(gate, int(lost), int(won))


def takes_the_limit(gate: Gate, rng: np.random.Generator) -> bool:
    """A file that is slower by exactly 3 %, in processes that differ by 1 %."""
    timed = measured.timed(rng.normal(np.log(1.03), 0.01, 40).tolist(), fidelity="host")
    (verdict,) = Judge((gate,), ("onnx", "tflite"), 2).judge(Evidence(latency=timed))
    return verdict.status == "pass"


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('{metric = "accuracy", limit = "1 pp"}', drops_by_the_margin),
        ('{metric = "latency", limit = "+3 %"}', takes_the_limit),
    ],
)
def test_of_two_wrong_files_either_ships_in_five_of_a_hundred_builds_at_most(
    tmp_path: Path, text: str, passes: Passes
) -> None:
    planned, rng = gate(tmp_path, text), np.random.default_rng(24)
    wrong = sum(any([passes(planned, rng), passes(planned, rng)]) for _ in range(ROUNDS))
    assert wrong / ROUNDS <= 0.05 + 2 * (0.05 * 0.95 / ROUNDS) ** 0.5


def test_without_the_correction_the_error_would_be_almost_twice_as_large() -> None:
    uncorrected, rng = Gate("accuracy", "1 pp"), np.random.default_rng(24)
    pairs = [[drops_by_the_margin(uncorrected, rng) for _ in range(2)] for _ in range(ROUNDS)]
    wrong = sum(any(pair) for pair in pairs)
    assert wrong / ROUNDS > 0.08


def test_the_verdict_tells_its_confidence_and_why_and_what_is_counted_has_none(tmp_path: Path) -> None:
    right = measured.accuracy(0, 0, 2000)
    weighed = measured.footprint(measured.weight(10), measured.weight(100))
    gates = (
        gate(tmp_path, '{metric = "accuracy", limit = "1 pp"}'),
        gate(tmp_path, '{metric = "size", limit = "1 kB"}'),
    )
    judged, counted = Judge(gates, ("onnx", "tflite"), 2).judge(measured.together(right, weighed))
    assert judged.confidence == 0.975
    assert judged.reason.endswith("; at 97.5 % confidence, as the best of 2 files ships")
    assert counted.confidence is None
    assert "confidence" not in counted.reason
    (alone,) = Judge((Gate("accuracy", "1 pp"),), ("onnx",)).judge(right)
    assert "confidence" not in alone.reason
