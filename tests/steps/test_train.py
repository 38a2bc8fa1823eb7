"""Making weights by training: the model learns, and one that cannot be trained is refused before it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.train import Train
from tests import tiny

Refuse = Callable[..., str]

ENDS = Signature((TensorSpec("image", (1, 12, 12)),), (TensorSpec("output", (4,)),))
STEP = Train("build", ENDS, Training(epochs=1), origin="models/m")
HEAD = "import torch\nfrom torch import nn\n"
NET = HEAD + "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(144, 4))\n"

FORWARD = HEAD + "class N(nn.Module):\n    def forward(self, x):\n        return {}\ndef build():\n    return N()"

BUILDERS = {
    "raises": ("def build():\n    return 1 / 0", "model.py: build(): raised ZeroDivisionError: division by zero at "),
    "gives no module": ("def build():\n    return 'net'", "model.py: build(): returned str, not a torch.nn.Module"),
    "gives a class": (HEAD + "def build():\n    return nn.Linear", "model.py: build(): returned type, not a torch.nn"),
    "is missing": (HEAD, "model.py: builder: has no function 'build'"),
    "takes other shapes": (
        NET.replace("144", "100"),
        "model.toml: inputs, build(): its model does not accept the declared inputs (image [1, 12, 12] float32): "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x144 and 100x4)",
    ),
    "takes two inputs": (
        HEAD + "class N(nn.Module):\n    def forward(self, a, b):\n        return a\ndef build():\n    return N()",
        "model.toml: inputs, build(): its model does not accept the declared inputs (image [1, 12, 12] float32): Type",
    ),
    "gives other classes": (
        NET.replace(", 4)", ", 7)"),
        "model.py: build(): its model answers [2, 7] to 2 examples, not [2, 4], which labels or outputs declare",
    ),
    "gives a map": (
        HEAD + "def build():\n    return nn.Conv2d(1, 4, 3)",
        "model.py: build(): its model answers [2, 4, 10, 10] to 2 examples, not [2, 4], which labels",
    ),
    "loses the batch": (
        FORWARD.format("x.sum((1, 2, 3))[:4]"),
        "model.py: build(): its model answers [2] to 2 examples, not [2, 4], which labels",
    ),
    "gives two outputs": (
        FORWARD.format("x, x"),
        "model.py: build(): its model answers 2 tensors to 2 examples, not 1: one for each of the outputs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_builder_that_gives_no_fitting_model_is_refused_before_training(
    refusal: Refuse, made: tiny.Made, kind: str
) -> None:
    code, told = BUILDERS[kind]
    assert refusal(STEP, code, data=made["data"]).startswith(f"models/m/{told}")


def test_a_missing_augmentation_is_refused(refusal: Refuse, made: tiny.Made) -> None:
    step = Train("build", STEP.signature, STEP.training, "warp", "models/m")
    assert refusal(step, NET, data=made["data"]) == "models/m/model.py: augment: has no function 'warp'"


def test_an_augmentation_that_fails_is_told_with_its_line(refusal: Refuse, made: tiny.Made) -> None:
    step = Train("build", STEP.signature, STEP.training, "warp", "models/m")
    code = NET + "def warp(x, generator):\n    return x.warped()\n"
    told = "models/m/model.py: warp(): raised AttributeError: 'Tensor' object has no attribute 'warped' at line 6"
    assert refusal(step, code, data=made["data"]) == told


def test_training_that_diverges_is_stopped(refusal: Refuse, made: tiny.Made) -> None:
    step = Train("build", STEP.signature, Training(epochs=9, learning_rate=1e30), origin="models/m")
    assert refusal(step, NET, data=made["data"]).startswith("training.learning_rate: training diverged: the loss is ")


def test_a_trained_model_tells_what_it_was_trained_on(made: tiny.Made) -> None:
    assert accuracy(made, "float") > 0.97


def test_a_model_of_two_inputs_is_trained(pair: tiny.Made) -> None:
    found = checkpoint.load(pair["float"])
    assert [spec.name for spec in found.inputs] == ["picture", "facts"]
    assert [tuple(tensor.shape) for tensor in found.example(3)] == [(3, 1, 8, 8), (3, 5)]


def test_less_data_than_a_batch_is_one_batch(source: Callable[[str], Path], made: tiny.Made, tmp_path: Path) -> None:
    step = Train("build", STEP.signature, Training(epochs=2, batch_size=10**30), origin="models/m")
    inputs = {"code": ("code", source(NET)), "data": ("data", made["data"])}
    checkpoint.load(tiny.perform(step, tmp_path / "output", inputs))


def accuracy(made: tiny.Made, artifact: str) -> float:
    test = dataset.read(made["data"], "test")
    module = checkpoint.load(made[artifact]).module
    with torch.no_grad():
        answers = module(torch.from_numpy(np.array(test.inputs[0]))).numpy()
    return float((answers.argmax(1) == test.labels[0]).mean())


def test_classes_are_only_checked_where_they_are_known(made: tiny.Made) -> None:
    source = checkpoint.load(made["float"]).code
    inputs = tiny.spec("tiny").declared.inputs
    source.build("build", inputs)
    with pytest.raises(UsageError, match="not \\[2, 5\\]"):
        source.build("build", inputs, (TensorSpec("output", (5,)),))


def answers(made: tiny.Made) -> np.ndarray:
    test, module = dataset.read(made["data"], "test"), checkpoint.load(made["float"]).module
    with torch.no_grad():
        given = module(torch.from_numpy(np.array(test.inputs[0])))
    return np.asarray(given.numpy())


def test_a_regression_learns_values(centre: tiny.Made) -> None:
    goals = dataset.read(centre["data"], "test").labels[0]
    assert np.abs(answers(centre) - goals).mean() < 0.3 * np.abs(goals).mean()


def test_an_embedding_learns_directions(arrows: tiny.Made) -> None:
    given, goals = answers(arrows), dataset.read(arrows["data"], "test").labels[0]
    cosine = (given * goals).sum(1) / np.linalg.norm(given, axis=1) / np.linalg.norm(goals, axis=1)
    assert cosine.mean() > 0.8
