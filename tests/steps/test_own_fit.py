"""A model's own `fit` in the place of ours: what it is handed, and what is refused of what it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.signature import Signature
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.qat import Qat
from edgebuild.steps.train import Train
from tests import tiny
from tests.steps.conftest import Refuse

ENDS: Signature = tiny.spec("tiny").declared.signature.bare
NET = """\
import json, torch
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 16), nn.ReLU(), nn.Linear(16, 4))

def fit(module, data, io):
    {}
"""
LEARN = """\
optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for epoch in range(io.training.epochs):
        for start in range(0, len(data.train), io.training.batch_size):
            part = data.train.take(slice(start, start + io.training.batch_size))
            sides = (part.inputs, part.labels)
            inputs, labels = (tuple(torch.from_numpy(x).to(io.device) for x in side) for side in sides)
            optimizer.zero_grad()
            loss = io.loss(module, inputs, labels)
            loss.backward()
            optimizer.step()
            io.hold()
        io.progress((epoch + 1) / io.training.epochs, f"loss {loss.item():.3f}", step=epoch, loss=loss.item())
    (io.checkpoints / "seen.json").write_text(json.dumps([io.step, len(data.train), len(data.validation), io.threads]))
"""
OWN = Train("build", ENDS, Training(epochs=3), origin="models/m", fit="fit")


def own(made: tiny.Made, folder: Path, code: Path) -> Path:
    """A model that its own function trained."""
    return tiny.perform(OWN, folder, {"code": ("code", code), "data": ("data", made["data"])})


def test_it_trains_in_train_distill_and_qat_on_the_loss_it_is_given_and_holds_pruned_zeros(
    made: tiny.Made, source: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = own(made, tmp_path / "own", source(NET.format(LEARN)))
    seen = [json.loads((tmp_path / "own.scratch" / "checkpoints" / "seen.json").read_text())]
    model = checkpoint.load(folder)
    weights = {name: value.clone() for name, value in model.module.state_dict().items()}
    torch.manual_seed(OWN.training.seed)
    first = model.code.build("build", model.inputs).state_dict()
    assert all(not torch.equal(weights[name], first[name]) for name in weights), "all was learnt"
    zero = torch.rand(16, 144, generator=torch.Generator().manual_seed(0)) < 0.5
    model.module[1].weight.data[zero] = 0  # type: ignore[index, union-attr]
    sparse = tmp_path / "sparse"
    sparse.mkdir()
    checkpoint.save(replace(model, sparse=("1.weight",)), sparse)
    for step in (Distill(epochs=1), Qat(epochs=1)):
        name = type(step).__name__.lower()
        inputs = {"model": ("torch", sparse), "teacher": ("torch", folder), "data": ("data", made["data"])}
        after = checkpoint.load(tiny.perform(step, tmp_path / name, inputs)).module
        assert torch.equal(after[1].weight == 0, zero)  # type: ignore[index, union-attr]
        assert not torch.equal(after[3].weight, weights["3.weight"])  # type: ignore[index, union-attr]
        seen.append(json.loads((tmp_path / f"{name}.scratch" / "checkpoints" / "seen.json").read_text()))
    splits = [len(dataset.read(made["data"], split)) for split in ("train", "validation")]
    assert seen == [[name, *splits, 1] for name in ("train", "distill", "qat")]


MISTAKES = {
    "returns another": ("return nn.Linear(1, 1)", "returned Linear: it trains the module that it is"),
    "not finite": ("module[1].weight.data[0, 0] = float('nan')", "left numbers in '1.weight' that are not finite"),
    "other shapes": (
        "module[1] = nn.Linear(144, 16, dtype=torch.float64)",
        "left '1.bias' as [16] torch.float64, which was [16] torch.float32: only values may change",
    ),
    "more": ("module.add_module('late', nn.Linear(4, 4))", "left 'late.bias' as [4] torch.float32, which was nothing"),
    "raises": ("raise RuntimeError('no luck')", "raised RuntimeError: no luck at line 8"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_it_leaves_must_be_the_module_that_it_was_given(refusal: Refuse, made: tiny.Made, kind: str) -> None:
    code, told = MISTAKES[kind]
    assert refusal(OWN, NET.format(code), data=made["data"]).startswith(f"models/m/model.py: fit(): {told}")


def test_a_function_that_is_not_there_is_refused(refusal: Refuse, made: tiny.Made) -> None:
    line = refusal(
        Train("build", ENDS, OWN.training, origin="models/m", fit="own"), NET.format("pass"), data=made["data"]
    )
    assert line == "models/m/model.py: fit: has no function 'own'"


def test_zeros_that_were_pruned_and_do_not_stay_are_refused(
    made: tiny.Made, source: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = own(made, tmp_path / "own", source(NET.format("module[1].weight.data.fill_(1.0)")))
    model = checkpoint.load(folder)
    model.module[1].weight.data[0, 0] = 0  # type: ignore[index, union-attr]
    sparse = tmp_path / "sparse"
    sparse.mkdir()
    checkpoint.save(replace(model, sparse=("1.weight",)), sparse)
    told = "models/m/model.py: fit(): left weights in '1.weight' that pruning had made zero: call io.hold() after each"
    inputs = {"model": sparse, "teacher": folder, "data": made["data"]}
    with pytest.raises(UsageError) as caught:
        tiny.perform(
            Distill(epochs=1), tmp_path / "out",
            {role: ("data" if role == "data" else "torch", path) for role, path in inputs.items()},
        )  # fmt: skip
    assert caught.value.line.startswith(told)


STEP = """\
import sys
from pathlib import Path
import torch
from edgebuild.nn.train import kept
from tests.steps import test_own_fit

torch.set_num_threads(1)
kept._LEAST, kept._SHARE = 0.0, 1
test_own_fit.long(*map(Path, sys.argv[1:]))
"""


def long(code: Path, data: Path, output: Path, partial: Path) -> None:
    """A training with time to be killed in; what it keeps on the way is in `partial`."""
    output.mkdir(parents=True)
    inputs = {"code": Input("code", "0" * 64, code), "data": Input("data", "0" * 64, data)}
    Train("build", ENDS, Training(epochs=60, batch_size=16)).run(StepIO(inputs, output, output, partial=partial))


def test_a_step_that_was_killed_while_it_trained_goes_on_to_the_same_bytes(
    made: tiny.Made, source: Callable[[str], Path], tmp_path: Path
) -> None:
    code = source(NET.format("pass"))
    places = [str(place) for place in (code, made["data"], tmp_path / "killed", tmp_path / "partial")]
    process = subprocess.Popen([sys.executable, "-c", STEP, *places])
    file = tmp_path / "partial" / "training.pt"
    while not file.exists():
        assert process.poll() is None, "it ended before it kept anything"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    at = torch.load(file, weights_only=True)["step"]
    assert at > 0
    for name, partial in (("resumed", "partial"), ("whole", "other")):
        long(code, made["data"], tmp_path / name, tmp_path / partial)
    files = [(tmp_path / name / checkpoint.WEIGHTS).read_bytes() for name in ("resumed", "whole")]
    assert files[0] == files[1]
