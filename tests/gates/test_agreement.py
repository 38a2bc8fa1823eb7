"""agreement: how near answers stay to the original's, by hand; the verdict says on what, and that it is no accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebuild.gates.agreement import Agreement
from edgebuild.spec import dataset, documents, evidence
from edgebuild.spec.evidence import Evidence
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.scores import Scores
from tests import measured, tiny

GATE = Gate("agreement", "0.1")


def test_it_is_the_share_of_the_originals_length_that_is_kept() -> None:
    original = np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    candidate = np.array([[3.0, 4.0], [0.0, 1.0], [-9.0, 0.0]])  # 1, 1/2, and not below 0
    assert Agreement.score(candidate, original)(np.ones(3)) == pytest.approx(0.5)
    assert Agreement.score(candidate, original)(np.array([0.0, 1, 0])) == pytest.approx(0.5)


def scores(folder: Path, apart: float, without: str | None) -> evidence.Scores:
    """Evidence of the real step: a candidate that is off by `apart` of the length of what the float file answers."""
    (folder / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    original = rng.normal(size=(200, 8)).astype(np.float32)
    other = rng.normal(size=(200, 8))
    other *= np.linalg.norm(original, axis=1, keepdims=True) / np.linalg.norm(other, axis=1, keepdims=True)
    head = Head("output", "agreement")
    labels = np.full((200, 1), np.nan, np.float32)
    dataset.write(folder / "data", "test", Split((original,), (labels,)), [head])
    dataset.describe(folder / "data", [head], {"test": 200}, {}, without=without)
    for role, values in (("candidate", original + apart * other), ("baseline", original)):
        (folder / role).mkdir()
        np.savez(folder / role / "outputs.npz", **{"0": values})
        documents.write(folder / role / evidence.ORIGIN, measured.origin())
    inputs = {"data": ("data", folder / "data")} | {r: ("outputs", folder / r) for r in ("candidate", "baseline")}
    out = tiny.perform(Scores((("output", "agreement", 0.95),)), folder / "out", inputs)
    return documents.read(evidence.Scores, out / evidence.FILE)


@pytest.mark.parametrize(("apart", "status"), [(0.0, "pass"), (0.05, "pass"), (0.2, "fail")])
def test_the_verdict_is_by_the_distance_from_the_original(tmp_path: Path, apart: float, status: str) -> None:
    verdict = Agreement().judge(GATE, Evidence(scores=scores(tmp_path, apart, "NOISE")))
    assert verdict.status == status
    assert verdict.estimate == pytest.approx(apart, abs=1e-3)
    told = "agreement with the original on NOISE without labels, which says nothing of accuracy: 1 → "
    assert verdict.reason.startswith(told)
    assert verdict.metric == "agreement"


def test_inputs_of_the_users_own_are_named(tmp_path: Path) -> None:
    verdict = Agreement().judge(GATE, Evidence(scores=scores(tmp_path, 0.0, "inputs of real.npz")))
    assert "on inputs of real.npz without labels, which says nothing of accuracy" in verdict.reason
