"""An error names the step that ran, though what raised it serves many."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import edgebuild
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.prune.slimming import Slimming
from edgebuild.spec.artifact import Step
from edgebuild.spec.errors import UsageError, from_json, owner
from edgebuild.spec.names import class_name, file_name
from edgebuild.spec.registry import STEPS
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.merge_channels import MergeChannels
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.prune_weights import PruneWeights
from edgebuild.steps.techniques.qat import Qat
from tests import tiny
from tests.steps.techniques import nets

HUGE = 1e9  # a learning rate that no training bears


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Distill(epochs=1), "distill: the teacher's output is [64, 2], the model's [64, 4]"),
        (Qat(epochs=1), "qat: the teacher's output is [64, 2], the model's [64, 4]"),
        (Distill(epochs=2, learning_rate=HUGE), "distill.learning_rate: training diverged"),
        (Qat(epochs=2, learning_rate=HUGE), "qat.learning_rate: training diverged"),
        (
            PruneChannels(schedule=Schedule(epochs=2, learning_rate=HUGE)),
            "prune_channels.schedule.learning_rate: training diverged",
        ),
        (
            PruneWeights(ratio=0.5, schedule=Schedule(epochs=2, learning_rate=HUGE)),
            "prune_weights.schedule.learning_rate: training diverged",
        ),
        (
            PruneChannels(criterion="batch_norm", slimming=Slimming(epochs=2, learning_rate=HUGE)),
            "prune_channels.slimming.learning_rate: training diverged",
        ),
        (PruneChannels(ratio=0.5, round_to=64), "prune_channels: no channel can be removed"),
        (PruneWeights(ratio=0.999999), "prune_weights: all 144 weights of 'stem.weight' would be removed"),
    ],
)
def test_shared_helpers_name_the_step_that_called_them(made: tiny.Made, tmp_path: Path, step: Step, told: str) -> None:
    inputs = dict.fromkeys(("model", "teacher"), ("torch", made["float"])) | {"data": ("data", made["data"])}
    if "teacher" in told:
        inputs["teacher"] = ("torch", two_classes(tmp_path))
    with pytest.raises(UsageError) as caught:
        tiny.perform(step, tmp_path / "out", inputs)
    assert caught.value.line.startswith(told)
    assert str(caught.value) == caught.value.line == from_json(caught.value.to_json()).line


def two_classes(folder: Path) -> Path:
    """A teacher of the same inputs as the tiny model and half of its classes."""
    from edgebuild.nn import checkpoint
    from edgebuild.nn.model_code import ModelCode

    (folder / "source").mkdir()
    shape = tiny.spec("tiny").declared.inputs
    size = 1
    for length in shape[0].shape:
        size *= length
    (folder / "source" / "model.py").write_text(
        f"from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear({size}, 2))\n"
    )
    source = ModelCode(folder / "source", "models/two")
    (folder / "teacher").mkdir()
    checkpoint.save(checkpoint.Checkpoint(source.build("build", shape), source, "build", shape), folder / "teacher")
    return folder / "teacher"


@pytest.mark.parametrize("step", [PruneChannels(round_to=1), MergeChannels(round_to=1)])
def test_a_model_that_cannot_be_traced_names_the_step_that_needed_it(
    tmp_path: Path, step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("integer modulo by zero")

    monkeypatch.setattr("torch.export.export", fails)
    model, data = nets.save("Depthwise", tmp_path / "net"), nets.data("Depthwise", tmp_path / "data")
    with pytest.raises(UsageError) as caught:
        tiny.perform(step, tmp_path / "out", {"model": ("torch", model), "data": ("data", data)})
    name = file_name(type(step))
    assert caught.value.line.startswith(f"{name}: the model's channels cannot be traced: ZeroDivisionError: integer")


def test_who_owns_an_option_is_put_before_it_once() -> None:
    def told(error: UsageError, *, whole: bool = False) -> str:
        with pytest.raises(UsageError) as caught, owner("outer"), owner("inner", whole=whole):
            raise error
        return caught.value.line

    assert told(UsageError("no", option="rate")) == "outer.inner.rate: no"
    assert told(UsageError("no", option="rate"), whole=True) == "inner.rate: no"
    assert told(UsageError("no")) == "outer.inner: no"
    assert told(UsageError("no", key="builder")) == "builder: no"
    assert told(UsageError("no", file="model.toml")) == "model.toml: no"


@pytest.mark.parametrize("name", STEPS.names())
def test_the_name_of_a_step_follows_from_its_class(name: str) -> None:
    assert file_name(STEPS.get(name)) == name
    assert class_name(name) == STEPS.get(name).__name__


def test_nothing_that_steps_share_names_one_of_them() -> None:
    """`qat` in calibration is meant: its ranges are to be learnt anew, whichever step reads them."""
    names, found = {*STEPS.names()}, []
    for room in ("nn", "formats"):
        for path in sorted((Path(edgebuild.__file__).parent / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                key = node.value if isinstance(node, ast.keyword) and node.arg == "key" else None
                if isinstance(key, ast.Constant) and str(key.value).partition(".")[0] in names:
                    found.append((path.name, key.value))
    assert found in ([], [("_calibration.py", "qat")])
