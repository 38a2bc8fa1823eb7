"""A training by several processes: what it learns is what one process would, and each holds a part of the model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgebuild.nn import checkpoint
from edgebuild.nn.train import kept
from edgebuild.spec import notes
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError
from edgebuild.spec.model import Training
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.train import Train
from tests import tiny
from tests.steps.unequal import Unequal

HOW = Training(epochs=2, batch_size=32, learning_rate=0.05, clip=1.0, seed=3)


class Killed(BaseException):
    """What stands for a kill: nothing after it runs."""


def trained(
    count: int, made: tiny.Made, folder: Path, partial: Path | None = None, killed_at: int | None = None
) -> tuple[Path, dict[int, float]]:
    """What a training by so many processes makes, and its losses by step."""
    declared, losses = tiny.spec("tiny").declared, dict[int, float]()

    def progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        losses[step] = scalars["loss"]
        if step == killed_at:
            raise Killed
        if killed_at is not None:
            time.sleep(2 * kept._LEAST)  # the others wait, so that it is time for a checkpoint everywhere

    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    train = Train(str(declared.builder), declared.signature.bare, replace(HOW, processes=count), declared.augment)
    inputs = {role: Input(tiny.kind(role), "0" * 64, made[role]) for role in ("code", "data")}
    train.run(StepIO(inputs, folder / "out", folder / "scratch", progress, partial=partial))
    return folder / "out", losses


def test_two_processes_learn_what_one_does_also_after_a_kill(made: tiny.Made, tmp_path: Path) -> None:
    one, partial = trained(1, made, tmp_path / "1"), tmp_path / "partial"
    with pytest.raises(Killed):
        trained(2, made, tmp_path / "killed", partial, killed_at=21)
    begun = max(int(path.stem.partition("-")[2]) for path in partial.glob("part1of2-*.pt"))
    torch.save({}, partial / f"part2of2-{begun + 10}.pt")  # what only one process has is no place to go on from
    two = trained(2, made, tmp_path / "2", partial)
    later = {step: loss for step, loss in one[1].items() if step > begun}
    assert 0 < len(later) < len(one[1])
    assert two[1] == pytest.approx(later, abs=1e-5)
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
        ("first", UsageError, "here: has no place here"),
    ],
)
def test_why_the_process_failed_that_did_is_what_is_said(
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
