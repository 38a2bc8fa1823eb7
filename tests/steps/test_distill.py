"""Distillation: a pruned model, at chance, learns to answer as its teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.source import Source
from edgebuild.spec.errors import UsageError
from edgebuild.steps.distill import Distill
from tests import runtimes, tiny


def test_fine_tuning_brings_back_what_pruning_cost(made: tiny.Made) -> None:
    accuracies = {
        name: runtimes.accuracy(made, runtimes.torch_answers(made, name, 400)) for name in ("pruned", "distilled")
    }
    assert accuracies["distilled"] > 0.97
    assert accuracies["distilled"] > accuracies["pruned"]


def test_the_student_keeps_its_size_and_the_teacher_its_weights(made: tiny.Made) -> None:
    before = (made["float"] / checkpoint.WEIGHTS).read_bytes()
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in checkpoint.load(made[artifact]).module.state_dict().items()}
        for artifact in ("pruned", "distilled")
    ]
    assert shapes[0] == shapes[1]
    assert (made["float"] / checkpoint.WEIGHTS).read_bytes() == before


def test_without_labels_the_student_comes_closer_to_its_teacher(made: tiny.Made, tmp_path: Path) -> None:
    inputs = {"model": ("torch", made["pruned"]), "teacher": ("torch", made["float"]), "data": ("data", made["data"])}
    tiny.perform(Distill(alpha=0, epochs=4, batch_size=32, learning_rate=0.02), tmp_path / "out", inputs)
    (tmp_path / "root").mkdir()
    teacher, before = (runtimes.torch_answers(made, name) for name in ("float", "pruned"))
    (tmp_path / "root" / "data").symlink_to(made["data"])
    (tmp_path / "root" / "student").symlink_to(tmp_path / "out")
    after = runtimes.torch_answers(tiny.Made("tiny", tmp_path / "root"), "student")
    assert distance(after, teacher) < 0.5 * distance(before, teacher)


def test_zeros_of_a_pruned_student_stay_zero(made: tiny.Made, tmp_path: Path) -> None:
    model = checkpoint.load(made["float"])
    weight = model.module.get_parameter("spread.weight")
    zero = weight.detach().abs() < weight.detach().abs().median()
    weight.data[zero] = 0
    (tmp_path / "sparse").mkdir()
    checkpoint.save(replace(model, sparse=("spread.weight",)), tmp_path / "sparse")
    inputs = {"model": ("torch", tmp_path / "sparse"), "teacher": ("torch", made["float"])}
    tiny.perform(Distill(epochs=1, batch_size=32), tmp_path / "out", inputs | {"data": ("data", made["data"])})
    after = checkpoint.load(tmp_path / "out")
    assert after.sparse == ("spread.weight",)
    assert torch.equal(after.module.get_parameter("spread.weight") == 0, zero)


def distance(a: runtimes.Array, b: runtimes.Array) -> float:
    """Mean difference of probabilities."""
    p, q = (np.exp(x - x.max(1, keepdims=True)) for x in (a, b))
    return float(np.abs(p / p.sum(1, keepdims=True) - q / q.sum(1, keepdims=True)).mean())


def test_a_teacher_of_another_task_is_refused(made: tiny.Made, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(144, 9))\n"
    )
    taken = Source(source, "models/m")
    inputs = tiny.spec("tiny").declared.inputs
    (tmp_path / "teacher").mkdir()
    checkpoint.save(checkpoint.Checkpoint(taken.build("build", inputs), taken, "build", inputs), tmp_path / "teacher")
    given = {
        "model": ("torch", made["float"]),
        "teacher": ("torch", tmp_path / "teacher"),
        "data": ("data", made["data"]),
    }
    with pytest.raises(UsageError, match="the teacher's output is \\[64, 9\\], the model's \\[64, 4\\]"):
        tiny.perform(Distill(epochs=1), tmp_path / "out", given)
