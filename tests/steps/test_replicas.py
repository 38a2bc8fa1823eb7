"""A training whose batches several processes share: started by the step, stopped with it, and on from a checkpoint."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor, nn

from edgebuild.engine import child
from edgebuild.nn import checkpoint
from edgebuild.nn.train import kept, machine
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.model import Training
from edgebuild.steps import _training
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.train import Train
from tests import tiny

HOW = Training(epochs=2, batch_size=32, learning_rate=0.05, clip=1.0, seed=3)


class Recorder:
    """Losses by step; at step `kill_at` it kills all processes that this one has started since."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.losses, self.kill_at, self.before = dict[int, float](), kill_at, {*child._children()}

    def __call__(self, done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        self.losses[step] = scalars["loss"]
        if step == self.kill_at:
            (other,) = {*child._children()} - self.before
            os.kill(other, signal.SIGKILL)


def trained(how: Training, made: tiny.Made, folder: Path, progress: Recorder, partial: Path | None = None) -> Path:
    """What a training makes."""
    declared = tiny.spec("tiny").declared
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    step = Train(str(declared.builder), declared.signature.bare, how, declared.augment)
    inputs = {role: Input(tiny.kind(role), "0" * 64, made[role]) for role in ("code", "data")}
    step.run(StepIO(inputs, folder / "out", folder / "scratch", progress, partial=partial))
    assert {*child._children()} == progress.before
    return folder / "out"


def test_a_killed_process_ends_the_training_which_goes_on_from_what_the_first_one_kept(
    made: tiny.Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_LEAST", 0.0)
    alone, killed, later, partial = Recorder(), Recorder(kill_at=21), Recorder(), tmp_path / "partial"
    whole = trained(HOW, made, tmp_path / "1", alone)
    with pytest.raises(StepError, match="^process 2 of the training ended with signal 9$"):
        trained(replace(HOW, replicas=2), made, tmp_path / "2", killed, partial)
    assert {*child._children()} == killed.before
    again = trained(HOW, made, tmp_path / "3", later, partial)  # the same checkpoint, so that no other is started
    assert 0 < len(later.losses) < len(alone.losses)
    assert killed.losses | later.losses == pytest.approx(alone.losses, abs=1e-5)
    weights = [load_file(folder / checkpoint.WEIGHTS) for folder in (whole, again)]
    assert all(weights[1][name].numpy() == pytest.approx(each.numpy(), abs=1e-4) for name, each in weights[0].items())


def test_what_contradicts_a_share_of_every_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="processes hold a part of the model each, replicas all of it"):
        replace(HOW, replicas=2, processes=2)
    with pytest.raises(ValueError, match="replicas is 3, and a batch has 2 examples"):
        Distill(replicas=3, batch_size=2)


class Fits(nn.Module):
    """The network with something behind it that looks at the whole batch, or not."""

    def __init__(self, network: nn.Module, mixes: bool) -> None:
        super().__init__()
        self.network, self.mixes = network, mixes

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network(x)
        return answer - answer.mean(0) if self.mixes else answer


@pytest.mark.parametrize(
    ("asked", "devices", "mixes", "decided"),
    [
        (2, 0, False, (2, ["trained by 2 processes, each with a share of every batch"])),
        (None, 3, False, (3, ["trained by 3 processes, each with a share of every batch"])),
        (1, 3, False, (1, [])),
        (2, 0, True, "replicas: 2 processes cannot share a batch: what it answers to an example depends on the others"),
        (4, 2, False, "replicas: there are 2 CUDA devices for 4 processes"),
        (None, 2, True, (1, ["trained on one of 2 CUDA devices, which cannot share a batch: what it answers"])),
    ],
)
def test_how_many_processes_share_a_batch(
    asked: int | None,
    devices: int,
    mixes: bool,
    decided: tuple[int, list[str]] | str,
    made: tiny.Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "devices", lambda: devices)
    monkeypatch.setattr(machine, "PAYS_DEVICES", 0.0)
    model, data = checkpoint.load(made["float"]), dataset.read(made["data"], "train")
    learner = _training.learner(model, Fits(model.module, mixes))
    try:
        count, lines = _training._replicas(StepIO({}, tmp_path, tmp_path), learner, data, replace(HOW, replicas=asked))
    except UsageError as refused:
        told: object = str(refused)[: len(decided)]
    else:
        told = (count, [line[:77] for line in lines])
    assert told == decided
