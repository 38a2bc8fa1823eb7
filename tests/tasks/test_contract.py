"""What every task owes, ours and what another package brings: a new one is tested on arrival."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from edgebuild.data.function import Function
from edgebuild.nn.train import losses, training
from edgebuild.plan.policy import metrics_of
from edgebuild.spec import dataset, plugins, tasks
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.metric import Scored
from edgebuild.spec.model import Training
from edgebuild.spec.registry import GATES, TASKS
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.load_data import LoadData
from tests import tiny

VECTOR = TensorSpec("output", (3,))


class Case(NamedTuple):
    """A head, labels that are right for its outputs, answers to these without any error, and answers that are wrong."""

    head: Head
    labels: np.ndarray
    right: list[np.ndarray]
    wrong: list[np.ndarray]
    inputs: list[np.ndarray] = []  # noqa: RUF012

    @property
    def outputs(self) -> list[TensorSpec]:
        return [TensorSpec(f"output_{k}", values.shape[1:]) for k, values in enumerate(self.right)]


def case(head: Head, labels: np.ndarray, right: np.ndarray) -> Case:
    """One whose answers are wrong when their values change places."""
    given = right.astype(np.float32)
    return Case(head, labels, [given], [np.roll(given, 1, axis=1)])


def boxes_case() -> Case:
    """Two boxes in each picture, of classes 0 and 2; wrong are scores for boxes that are elsewhere."""
    corners = np.array([[0, 0, 0.25, 0.25], [0.5, 0.5, 1, 1], [0.6, 0, 0.9, 0.2], [0, 0.6, 0.2, 0.9]], np.float32)
    scores = np.zeros((4, 3), np.float32)
    scores[0, 0] = scores[1, 2] = 1
    labels = np.concatenate([[[0], [2]], corners[:2]], 1)
    right = [np.tile(one, (6, 1, 1)) for one in (corners, scores)]
    head = Head("boxes", "detection", (0, 1), labels=("a", "b", "c"), decoder=Decoder("ssd", corners="xyxy", most=4))
    return Case(head, np.tile(labels, (6, 1, 1)), right, [right[0], np.roll(right[1], 2, axis=1)])


def segmentation_case() -> Case:
    """Maps whose classes change places; a pixel that does not count is in each."""
    labels = np.arange(24).reshape(6, 2, 2) % 3
    right = np.moveaxis(np.eye(3)[labels] * 50, 3, 1)
    labels[:, 0, 0] = 255
    return case(Head("output", "segmentation", labels=("a", "b", "c")), labels, right)


def multilabel_case() -> Case:
    """Each class is there now and then, and never all of them."""
    labels = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 1]])
    return case(Head("output", "multilabel", labels=("a", "b", "c")), labels, 100.0 * labels - 50)


def anomaly_case() -> Case:
    """What is learnt are the inputs; anomalies are the last three, which a right answer does not reach."""
    inputs = np.arange(18.0, dtype=np.float32).reshape(6, 3)
    labels = np.arange(6) // 3
    good = inputs + labels[:, None].astype(np.float32)
    bad = inputs + (1 - labels[:, None]).astype(np.float32) + 0.5
    return Case(Head("output", "anomaly"), labels, [good], [bad], [inputs])


VALUES = np.arange(18.0).reshape(6, 3) + 1
CASES = {
    "classification": case(
        Head("output", "classification", labels=("a", "b", "c")), np.arange(6) % 3, np.eye(3)[np.arange(6) % 3] * 50
    ),
    "regression": case(Head("output", "regression"), VALUES, VALUES),
    "agreement": case(Head("output", "agreement"), VALUES, VALUES),
    "embedding": case(Head("output", "embedding"), VALUES, VALUES),
    "detection": boxes_case(),
    "segmentation": segmentation_case(),
    "multilabel": multilabel_case(),
    "anomaly": anomaly_case(),
}


@pytest.mark.parametrize("name", TASKS.names())
def test_a_task_takes_its_own_labels_and_knows_a_right_answer_from_a_wrong_one(name: str) -> None:
    case = CASES[name]
    task = tasks.of(case.head)
    task.check(case.head, case.outputs)
    assert task.label_mistake(case.labels, case.outputs) is None
    kept = np.asarray(task.targets(case.labels.astype(task.element), case.inputs))
    right, wrong = case.inputs or case.right, case.wrong
    assert task.errors(right, kept).max() == pytest.approx(0, abs=1e-6)
    assert (task.errors(wrong, kept) > 0).all()
    near, far = ([torch.from_numpy(values) for values in given] for given in (right, wrong))
    assert 0 <= task.loss(near, torch.from_numpy(kept)) < 1e-5 < task.loss(far, torch.from_numpy(kept))
    for goal in ("soft", "logits", "pseudo_labels"):
        same, other = (float(task.distilled(goal, given, [near], 4.0)) for given in (near, far))
        assert same < 1e-5 < other
    if task.choice:
        assert task.hits(right, kept).all()
        assert not task.hits(wrong, kept).any()
        assert (task.choices(right) != task.choices(wrong)).any()


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_has_metrics_whose_value_falls_with_wrong_answers(name: str) -> None:
    case = CASES[name]
    task, every = tasks.of(case.head), np.ones(len(case.labels))
    kinds = {metric: GATES.get(metric) for metric in metrics_of(name)}
    scored = {metric: kind for metric, kind in kinds.items() if issubclass(kind, Scored)}
    assert scored
    for metric, kind in scored.items():
        if metric == "correlation":  # of values that change places it need not fall
            continue
        known = case.labels.astype(task.element)
        better, worse = (
            kind.score(task.scored(given, case.inputs), known)(every) for given in (case.right, case.wrong)
        )
        assert kind.change(worse, better) > 0 if better else worse > better, metric


@pytest.mark.parametrize("name", TASKS.names())
def test_labels_of_another_kind_are_refused_in_words(name: str) -> None:
    task = tasks.of(CASES[name].head)
    words = np.array([["a"], ["b"]])
    told = task.label_mistake(words, CASES[name].outputs)
    assert told is not None
    assert "got <U1 [2, 1]" in told


@pytest.mark.parametrize("name", sorted({*TASKS.names()} - {"detection"}))
def test_several_outputs_are_refused_where_a_task_reads_one(name: str) -> None:
    told = r"reads one output, not 2 \(output, more\): give each output its own task"
    with pytest.raises(ValueError, match=told):
        TASKS.get(name)().check(CASES[name].head, [VECTOR, TensorSpec("more", (3,))])


@pytest.mark.parametrize("name", sorted({*TASKS.names()} - {"detection", "agreement", "regression"}))
def test_whole_numbers_are_refused_where_they_are_no_answer(name: str) -> None:
    with pytest.raises(ValueError, match="output 'output' (is int64|has the shape)"):
        TASKS.get(name)().check(CASES[name].head, [TensorSpec("output", (3,), "int64")])


ORDINAL = '''
"""Ordinal regression: steps on a scale, as one value; an answer is the nearest step."""
import numpy as np
from edgebuild.spec.task import Task
from torch.nn import functional


class Ordinal(Task):
    """The labels are whole numbers, the answers values."""

    labels = "[N, 1] steps"
    element = "float32"
    missing = float("nan")
    choice = True
    show = "values"
    metrics = ("accuracy",)

    def check(self, head, outputs):
        if outputs[0].shape != (1,):
            raise ValueError("a scale is one value")

    def label_mistake(self, labels, outputs):
        return None if labels.shape[1:] == (1,) else "needs [N, 1] steps"

    def loss(self, answers, labels, smoothing=0.0):
        return functional.l1_loss(answers[0], labels)

    def distilled(self, goal, answers, teachers, temperature):
        return functional.l1_loss(answers[0], sum(one for (one,) in teachers) / len(teachers))

    def errors(self, answers, labels):
        return np.abs(answers[0] - labels).mean(1)

    def choices(self, answers):
        return np.rint(answers[0])[:, 0]

    def hits(self, answers, labels):
        return self.choices(answers) == labels[:, 0]
'''
INFO = {"METADATA": "Name: scales\nVersion: 1.0\n", "entry_points.txt": "[edgebuild.tasks]\nordinal = scales:Ordinal\n"}
MODEL = """
description = "Steps"
builder = "build"
data = "load"
task = "ordinal"
outputs = 1
[[inputs]]
name = "x"
shape = [2]
"""
CODE = """
import numpy as np
from torch import nn
def build():
    return nn.Linear(2, 1)
def load():
    x = np.arange(128.0).reshape(64, 2) % 7
    return {"train": (x, x[:, :1] + x[:, 1:]), "test": (x, x[:, :1] + x[:, 1:])}
"""


@pytest.fixture
def scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a task of its own, as if it were installed; the folder that it is in."""
    home = tmp_path / "site"
    (home / "scales-1.0.dist-info").mkdir(parents=True)
    (home / "scales.py").write_text(ORDINAL)
    for name, text in INFO.items():
        (home / "scales-1.0.dist-info" / name).write_text(text)
    monkeypatch.syspath_prepend(home)
    _forget()
    yield home  # type: ignore[misc]
    _forget()


def _forget() -> None:
    plugins.forget()
    sys.modules.pop("scales", None)


def test_a_task_of_another_package_is_one_file(scales: Path, tmp_path: Path) -> None:
    """Declared, loaded, learnt, judged by a metric that the task names: nothing of ours knows it."""
    folder = tmp_path / "models" / "steps"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(MODEL)
    (folder / "model.py").write_text(CODE)
    declared = read_model(folder, "models/steps/model.toml").declared
    (head,) = declared.heads
    step = LoadData(Function("load"), declared.signature, declared.heads, "models/steps")
    data = tiny.perform(step, tmp_path / "data", {"code": ("code", folder)})
    train = dataset.read(data, "train")
    module = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(module.weight)
    how = Training(epochs=60, batch_size=16, learning_rate=0.01, weight_decay=0)
    training.fit(module, train, losses.supervised([head]), how, sparse=(), progress=lambda *_, **__: None)
    test = dataset.read(data, "test")
    with torch.no_grad():
        said = module(torch.from_numpy(np.array(test.inputs[0]))).numpy()
    assert TASKS.get("ordinal")().hits([said], test.labels[0]).mean() > 0.9


def test_a_task_that_lacks_a_member_is_refused_in_one_line(scales: Path, tmp_path: Path) -> None:
    whole = (scales / "scales.py").read_text()
    (scales / "scales.py").write_text(whole.replace("    def errors(", "    def mistakes("))
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "model.toml").write_text(MODEL)
    told = "models/steps/model.toml: task: task 'ordinal' lacks 'errors': expected errors\\(answers, labels\\); it com"
    with pytest.raises(UsageError, match=told):
        read_model(folder, "models/steps/model.toml")


def test_signatures_name_what_a_head_reads() -> None:
    ends = Signature((VECTOR,), (VECTOR, TensorSpec("map", (2, 2))))
    assert [one.name for one in ends.of(Head("both", "regression", (1, 0)))] == ["map", "output"]
