"""A training by several processes: what it learns is what one process would, and each holds a part of the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgebuild.nn import checkpoint
from edgebuild.spec import notes
from edgebuild.spec.artifact import Input, Step, StepIO
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError
from edgebuild.spec.model import Training
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.train import Train
from tests import tiny
from tests.steps.unequal import Unequal

HOW = Training(epochs=1, batch_size=32, learning_rate=0.05, clip=1.0, seed=3)


def trained(step: Step, made: tiny.Made, roles: dict[str, str], folder: Path) -> tuple[Path, list[float]]:
    """What a step makes, and its losses on the way."""
    losses: list[float] = []

    def progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        losses.append(scalars["loss"])

    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    inputs = {role: Input(tiny.kind(name), "0" * 64, made[name]) for role, name in roles.items()}
    step.run(StepIO(inputs, folder / "out", folder / "scratch", progress))
    return folder / "out", losses


def test_two_processes_learn_what_one_does(made: tiny.Made, tmp_path: Path) -> None:
    declared, roles = tiny.spec("tiny").declared, {"code": "code", "data": "data"}
    one, two = (
        trained(
            Train(str(declared.builder), declared.signature.bare, replace(HOW, processes=count), declared.augment),
            made,
            roles,
            tmp_path / str(count),
        )
        for count in (1, 2)
    )
    assert len(one[1]) > 2
    assert two[1] == pytest.approx(one[1], abs=1e-5)
    weights = [load_file(folder / checkpoint.WEIGHTS) for folder, _ in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
    (line,) = notes.read(two[0])
    assert line.startswith("trained by 2 processes, cut where ")


@pytest.mark.parametrize(
    ("how", "kind", "told"),
    [
        ("told", UsageError, "there: has no place here"),
        ("raised", StepError, "process 2 of 2 of the training failed: ZeroDivisionError: by chance"),
        ("killed", StepError, "process 2 of the training ended with signal 9"),
        ("late", StepError, "process 2 of 2 of the training ran out of memory"),
    ],
)
def test_why_another_process_failed_is_what_is_said(
    how: str, kind: type[EdgebuildError], told: str, tmp_path: Path
) -> None:
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    with pytest.raises(kind, match=told):
        Unequal(how).run(StepIO({}, tmp_path / "out", tmp_path / "scratch"))


def test_what_needs_the_whole_model_in_one_process_is_refused() -> None:
    with pytest.raises(ValueError, match="patience need the whole model in one process, and processes is 2"):
        replace(HOW, processes=2, patience=3)
    with pytest.raises(ValueError, match="averaging"):
        Distill(processes=2, averaging="ema")
    with pytest.raises(ValueError, match="features are compared in one process"):
        Distill(processes=2, features="hints", layers=("first",))
