"""Evidence on a model of several outputs: head by head, output by output; no number of one is that of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.gates.accuracy import Accuracy as Gated
from edgebuild.spec import dataset, evidence
from edgebuild.spec.errors import StepError
from edgebuild.spec.evidence import Evidence
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.judge import Judge
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.sampled import Sampled
from edgebuild.steps.evidence.scores import Scores
from tests import tiny
from tests.steps.evidence import folders

KIND, MOOD = Head("kind", "classification", (0,)), Head("mood", "classification", (2,))
PLACE = Head("place", "regression", (1,))
NAMES, HEADS = ("kind", "place", "mood"), (KIND, PLACE, MOOD)
N = 400
RNG = np.random.default_rng(0)
LABELS = (RNG.integers(0, 3, N), RNG.normal(size=(N, 2)).astype(np.float32), RNG.integers(0, 2, N))


def answers(kind: int = 0, place: float = 0.0, mood: int = 0) -> list[np.ndarray]:
    """Outputs of which so many are wrong, or so far off."""
    scores = [np.eye(3)[LABELS[0]], LABELS[1] + np.float32(place), np.eye(2)[LABELS[2]]]
    for output, wrong in ((0, kind), (2, mood)):
        scores[output][:wrong] = np.roll(scores[output][:wrong], 1, axis=1)
    return [values.astype(np.float32) for values in scores]


def outputs(folder: Path, values: list[np.ndarray]) -> tuple[str, Path]:
    kind, made = folders.outputs(folder, values[0])
    np.savez(made / "outputs.npz", **{str(k): one for k, one in enumerate(values)})
    return kind, made


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, Path]:
    folder = tmp_path / "data"
    folder.mkdir()
    split = Split((np.zeros((N, 1), np.float32),), LABELS)
    dataset.write(folder, "test", split, HEADS)
    dataset.describe(folder, HEADS, {"test": N}, {})
    return "data", folder


def test_labels_of_several_heads_are_stored_by_name(data: tuple[str, Path]) -> None:
    assert sorted(path.name for path in data[1].glob("test.labels*")) == [
        "test.labels.kind.npy", "test.labels.mood.npy", "test.labels.place.npy",
    ]  # fmt: skip
    assert [labels.dtype.kind for labels in dataset.read(data[1], "test").labels] == ["i", "f", "i"]


def accuracy(tmp_path: Path, data: tuple[str, Path], kind: int, mood: int) -> tuple[evidence.Accuracy, Path]:
    inputs = {
        "candidate": outputs(tmp_path / "candidate", answers(kind, 0.1, mood)),
        "baseline": outputs(tmp_path / "baseline", answers()),
        "data": data,
    }
    out = tiny.perform(Accuracy((KIND, MOOD)), tmp_path / "out", inputs)
    return folders.read(evidence.Accuracy, out), out


def test_right_answers_are_counted_for_each_head_that_chooses(tmp_path: Path, data: tuple[str, Path]) -> None:
    found, out = accuracy(tmp_path, data, kind=8, mood=40)
    assert {name: (head.n, head.lost) for name, head in found.heads.items()} == {"kind": (N, 8), "mood": (N, 40)}
    with np.load(out / "hits.npz") as hits:
        assert {key: int((~hits[key]).sum()) for key in hits.files} == {
            "candidate.kind": 8, "baseline.kind": 0, "candidate.mood": 40, "baseline.mood": 0,
        }  # fmt: skip


def test_a_gate_judges_its_own_head_alone_and_says_which(tmp_path: Path, data: tuple[str, Path]) -> None:
    found, _ = accuracy(tmp_path, data, kind=0, mood=80)
    gates = tuple(Gate("accuracy", "5 pp", output=name) for name in ("kind", "mood"))
    verdicts = Judge(gates, ("onnx",)).judge(Evidence(accuracy=found))
    assert [(verdict.name, verdict.status) for verdict in verdicts] == [
        ("accuracy of kind", "pass"), ("accuracy of mood", "fail"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="too many values"):
        Gated().judge(Gate("accuracy", "5 pp"), Evidence(accuracy=found))


def test_metrics_are_those_of_the_heads_that_have_them(tmp_path: Path, data: tuple[str, Path]) -> None:
    inputs = {
        "candidate": outputs(tmp_path / "candidate", answers(4, 0.5, 0)),
        "baseline": outputs(tmp_path / "baseline", answers(0, 0.25, 0)),
        "data": data,
    }
    step = Scores((("kind", "f1", 0.95), ("place", "mae", 0.95)))
    scores = folders.read(evidence.Scores, tiny.perform(step, tmp_path / "out", inputs))
    assert {name: [*head.metrics] for name, head in scores.heads.items()} == {"kind": ["f1"], "place": ["mae"]}
    change = scores.heads["place"].of("mae", 0.95)
    assert isinstance(change, evidence.Change)
    assert (change.candidate, change.baseline) == (pytest.approx(0.5), pytest.approx(0.25))


def test_a_device_agrees_output_by_output(tmp_path: Path) -> None:
    device, host = answers(kind=3), answers()
    device[1][0, 0] += 1
    inputs = {"device": outputs(tmp_path / "device", device), "host": outputs(tmp_path / "host", host)}
    found = folders.read(evidence.Agreement, tiny.perform(Agreement(NAMES, HEADS), tmp_path / "out", inputs))
    assert {name: (one.identical, one.answers_differing) for name, one in found.outputs.items()} == {
        "kind": (False, 3), "place": (False, 0), "mood": (True, 0),
    }  # fmt: skip


def test_a_file_with_other_outputs_than_declared_is_refused(tmp_path: Path) -> None:
    inputs = {role: outputs(tmp_path / role, answers()[:2]) for role in ("device", "host")}
    with pytest.raises(StepError, match="the file answers 2 outputs, and the model declares kind, place, mood"):
        tiny.perform(Agreement(NAMES, HEADS), tmp_path / "out", inputs)


def test_a_device_runs_until_the_gates_of_all_heads_are_decided(scene: tiny.Made, tmp_path: Path) -> None:
    inputs = {"model": ("onnx", scene["onnx"]), "data": ("data", scene["data"])}
    here = ("outputs", tiny.perform(Outputs(Local(), "host"), tmp_path / "here", inputs))
    asked = inputs | {"candidate": here, "baseline": here}
    ran = {}
    for name, limits in {"wide": ("20 pp",), "both": ("20 pp", "3 pp")}.items():
        gates = tuple(Gate("accuracy", limit, output="kind") for limit in limits)
        out = tiny.perform(Sampled(Local(), "emulated", gates=gates), tmp_path / name, asked)
        with np.load(out / "outputs.npz") as stored:
            assert [stored[str(k)].shape[1:] for k in range(3)] == [(4,), (8, 3, 3), (2,)]
            ran[name] = len(stored["0"])
    assert ran["wide"] < ran["both"] <= 300
