"""Distillation: a pruned model, at chance, learns to answer as its teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.steps.techniques.distill import Distill
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


def test_what_the_teacher_answered_is_known_to_the_next_student_to_the_same_bytes(
    made: tiny.Made, tmp_path: Path
) -> None:
    """The same teacher, by its digest, need not be run: another that lies in its place teaches nothing."""

    def weights(name: str, student: str, teacher: str, kept: Path | None) -> bytes:
        folders = {
            "model": ("torch", made[student]),
            "teacher": ("torch", made[teacher]),
            "data": ("data", made["data"]),
        }
        inputs = {role: Input(kind, "0" * 64, path) for role, (kind, path) in folders.items()}
        for folder in (tmp_path / name, tmp_path / f"{name}.scratch"):
            folder.mkdir()
        Distill(epochs=1, batch_size=32).run(StepIO(inputs, tmp_path / name, tmp_path / f"{name}.scratch", kept=kept))
        return (tmp_path / name / checkpoint.WEIGHTS).read_bytes()

    alone = weights("alone", "pruned", "float", None)
    weights("first", "float", "float", tmp_path / "kept")
    assert weights("second", "pruned", "pruned", tmp_path / "kept") == alone
    assert weights("other", "pruned", "pruned", None) != alone


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
    taken = ModelCode(source, "models/m")
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


def inputs_of(made: tiny.Made, **more: Path) -> dict[str, tuple[str, Path]]:
    given = {"model": made["pruned"], "teacher": made["float"]} | more
    return {role: ("torch", path) for role, path in given.items()} | {"data": ("data", made["data"])}


def answers_of(made: tiny.Made, folder: Path, root: Path) -> runtimes.Array:
    root.mkdir()
    (root / "data").symlink_to(made["data"])
    (root / "student").symlink_to(folder)
    return runtimes.torch_answers(tiny.Made(made.name, root), "student")


@pytest.mark.parametrize(
    "options",
    [
        {"goal": "logits", "alpha": 0.0},
        {"goal": "pseudo_labels", "alpha": 0.0},
        {"features": "hints", "layers": ("blocks.0", "blocks.1=blocks.1")},
        {"features": "attention", "layers": ("blocks.0", "spread"), "feature_weight": 10.0},
    ],
    ids=["logits", "pseudo_labels", "hints", "attention"],
)
def test_every_way_to_teach_brings_a_pruned_model_back(
    made: tiny.Made, tmp_path: Path, options: dict[str, Any]
) -> None:
    step = Distill(epochs=5, batch_size=32, learning_rate=0.02, **options)
    after = tiny.perform(step, tmp_path / "out", inputs_of(made))
    assert runtimes.accuracy(made, answers_of(made, after, tmp_path / "root")) > 0.95
    shapes = {name: t.shape for name, t in checkpoint.load(after).module.state_dict().items()}
    assert shapes == {name: t.shape for name, t in checkpoint.load(made["pruned"]).module.state_dict().items()}


def test_several_teachers_are_all_heard(made: tiny.Made, tmp_path: Path) -> None:
    step = Distill(epochs=1, batch_size=32, learning_rate=0.02)
    spoilt = checkpoint.load(made["float"])
    spoilt.module.get_parameter("head.weight").data.neg_()
    (tmp_path / "spoilt").mkdir()
    checkpoint.save(spoilt, tmp_path / "spoilt")
    alone = tiny.perform(step, tmp_path / "alone", inputs_of(made))
    more = tiny.perform(step, tmp_path / "more", inputs_of(made, **{"teacher/2": made["float"]}))
    other = tiny.perform(step, tmp_path / "other", inputs_of(made, **{"teacher/2": tmp_path / "spoilt"}))
    weights = [checkpoint.load(folder).module.get_parameter("head.weight") for folder in (alone, more, other)]
    assert torch.allclose(weights[0], weights[1], atol=1e-4)
    assert not torch.allclose(weights[0], weights[2], atol=1e-2)


def test_examples_without_labels_are_learnt_from(made: tiny.Made, tmp_path: Path) -> None:
    """All labels but a few are taken away: with the same inputs unlabelled, the teacher's answers make up for them."""
    train, test = (dataset.read(made["data"], name) for name in ("train", "test"))
    few, data = train.take(np.arange(32)), tmp_path / "data"
    data.mkdir()
    dataset.write(data, "train", few)
    dataset.write(data, "test", test)
    dataset.write_inputs(data, "unlabelled", tuple(values[32:] for values in train.inputs))
    given = inputs_of(made) | {"data": ("data", data)}
    step = Distill(epochs=5, batch_size=32, learning_rate=0.02, alpha=0.5)
    teacher, found = runtimes.torch_answers(made, "float"), {}
    for name, chosen in {"with": step, "without": replace(step, unlabelled=False)}.items():
        after = tiny.perform(chosen, tmp_path / name, given)
        found[name] = distance(answers_of(made, after, tmp_path / f"root-{name}"), teacher)
    assert found["with"] < 0.5 * found["without"]


def test_a_regression_learns_from_its_teacher(tmp_path: Path) -> None:
    made = tiny.start("centre", tmp_path / "centre")
    spoilt = checkpoint.load(made["float"])
    spoilt.module.get_parameter("head.weight").data.zero_()
    (tmp_path / "spoilt").mkdir()
    checkpoint.save(spoilt, tmp_path / "spoilt")
    step = Distill(epochs=4, batch_size=32, learning_rate=0.1, alpha=0.0)
    after = tiny.perform(step, tmp_path / "out", inputs_of(made, model=tmp_path / "spoilt"))
    test = dataset.read(made["data"], "test")
    errors = {}
    for name, folder in {"float": made["float"], "spoilt": tmp_path / "spoilt", "taught": after}.items():
        with torch.no_grad():
            answers = checkpoint.load(folder).module(torch.from_numpy(np.array(test.inputs[0]))).numpy()
        errors[name] = float(np.abs(answers - test.labels[0]).mean())
    assert errors["taught"] < 0.5 * errors["spoilt"]
    assert errors["taught"] < 1.5 * errors["float"]


@pytest.mark.parametrize(
    ("layers", "told"),
    [(("nowhere",), "no layer 'nowhere'"), (("blocks.0=blocks.1",), "other places"), ((), "name the layers")],
)
def test_features_that_cannot_be_compared_are_refused(
    made: tiny.Made, tmp_path: Path, layers: tuple[str, ...], told: str
) -> None:
    with pytest.raises((UsageError, ValueError), match=told):
        tiny.perform(Distill(features="hints", layers=layers), tmp_path / "out", inputs_of(made))
