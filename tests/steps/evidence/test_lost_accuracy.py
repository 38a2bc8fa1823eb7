"""What a release manager relies on: real files that lost accuracy, run by the real runtime and judged."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgebuild.devices.local import Local
from edgebuild.gates.accuracy import Accuracy as Gatekeeper
from edgebuild.spec import dataset, evidence
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.rows import Split
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence._outputs import read
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.outputs import Outputs
from tests import tiny
from tests.steps.evidence import folders

MANY = 5000


def pictures(count: int) -> Split:
    """Held-out pictures of the tiny model, as many as one likes."""
    spec = importlib.util.spec_from_file_location("tiny_model", tiny.MODELS / "tiny" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    inputs, labels = module._pictures(count, 3)
    return Split((inputs,), (labels,))


@dataclass(frozen=True, slots=True)
class Trial:
    """A float file, its answers, and a place for damaged copies of it."""

    made: tiny.Made
    root: Path
    answers: Any
    labels: Any

    def damaged(self, name: str, drop: float) -> Path:
        """A copy of the file that prefers its first class by so much that accuracy falls by `drop` and hardly more."""
        right = (self.answers.argmax(1) == self.labels).mean()
        low, high = 0.0, 100.0
        for _ in range(40):
            middle = (low + high) / 2
            lost = right - (np.add(self.answers, [middle, 0, 0, 0]).argmax(1) == self.labels).mean()
            low, high = (middle, high) if lost < drop else (low, middle)
        model = onnx.load(self.made.file("onnx"))
        bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [4])
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32([high, 0, 0, 0]), bias.name))
        folder = self.root / name
        folder.mkdir()
        onnx.save(model, folder / "model.onnx")
        return folder

    def judge(self, file: Path, examples: int, limit: str = "1 pp") -> Verdict:
        """The verdict on the file's own answers to the first so many pictures."""
        place = file / str(examples)
        data = place / "data"
        data.mkdir(parents=True)
        dataset.write(data, "test", pictures(examples))
        inputs = {"data": ("data", data)}
        for role, model in (("candidate", file), ("baseline", self.made["onnx"])):
            run = {"model": ("onnx", model), "data": ("data", data)}
            inputs[role] = ("outputs", tiny.perform(Outputs(Local(), "host"), place / role, run))
        accuracy = folders.read(evidence.Accuracy, tiny.perform(Accuracy(), place / "accuracy", inputs))
        return Gatekeeper().judge(Gate("accuracy", limit), evidence.Evidence(accuracy=accuracy))


@pytest.fixture(scope="module")
def trial(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The tiny model's float file on 5,000 pictures."""
    root = tmp_path_factory.mktemp("trial")
    test = pictures(MANY)
    (root / "data").mkdir()
    dataset.write(root / "data", "test", test)
    run = {"model": ("onnx", made["onnx"]), "data": ("data", root / "data")}
    (answers,) = read(tiny.perform(Outputs(Local(), "host"), root / "answers", run))
    return Trial(made, root, answers, test.labels[0])


def test_a_model_that_lost_three_points_is_stopped(trial: Trial) -> None:
    verdict = trial.judge(trial.damaged("three", 0.03), MANY)
    assert verdict.estimate == pytest.approx(0.03, abs=0.002)
    assert (verdict.status, verdict.n) == ("fail", MANY)
    assert verdict.reason.startswith("the drop is at least 2.")


def test_one_that_lost_a_fifth_of_a_point_passes_with_enough_examples(trial: Trial) -> None:
    file = trial.damaged("little", 0.002)
    verdict = trial.judge(file, MANY)
    assert verdict.estimate == pytest.approx(0.002, abs=0.0005)
    assert verdict.status == "pass"
    few = trial.judge(file, 50)
    assert (few.status, few.n) == ("inconclusive", 50)
    assert few.reason.startswith("50 examples are too few for any pass: 268 or more are needed")
