"""From an empty folder with a file and data of somebody's own: two commands to a judged bundle, and no Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import brought, tiny
from tests.scenarios.conftest import Workspace


@pytest.fixture
def empty(tmp_path: Path, shared_store: Path, made: tiny.Made) -> Workspace:
    """A folder with nothing but somebody's file."""
    root = tmp_path / "empty"
    root.mkdir()
    shutil.copyfile(made.file("onnx"), root / "quarters.onnx")
    return Workspace(root, shared_store)


TIMED = 'timing = {looks = [1], iterations = 2, warmup_iterations = 1, warmup = "0.01 s"}\n'
# Not timed: what is looked at here must not hang on a busy machine.
POLICY = """\
description = "As good, and smaller"
[[gates]]
metric = "accuracy"
limit = "5 pp"
[[gates]]
metric = "parity"
limit = "1e-3"
[[gates]]
metric = "size"
limit = "-50 %"
"""


def test_a_file_and_pictures_become_a_judged_bundle_by_two_commands(empty: Workspace) -> None:
    """And what ships prepares a picture as the data was prepared: it answers the name of the picture's folder."""
    pictures = brought.pictures(empty.root / "pictures")
    (empty.root / "policies").mkdir()
    (empty.root / "policies" / "default.toml").write_text(POLICY)
    begun = empty.run("init", "quarters.onnx", "--data", "pictures", "--json")
    assert begun.code == 0, begun.err
    checked = begun.document["checked"]
    assert checked["examples"] == {"train": 180, "validation": 20, "test": 200}
    assert checked["right"]["output"]["right"] >= 19
    assert begun.document["next"] == "edgebuild --target host --model quarters"
    empty.edit("targets/host.toml", "description", f"{TIMED}description")
    ran = empty.run(*begun.document["next"].split()[1:], "--json")
    assert ran.code == 0, ran.err
    bundle = empty.root / "dist" / "host" / "quarters"
    assert json.loads((bundle / "manifest.json").read_text())["status"] == "released"
    assert not (empty.root / "models" / "quarters" / "model.py").exists()
    folders = [pictures / f"{number} {name}" for number, name in enumerate(brought.LABELS)]
    shown = [str(next(folder.iterdir())) for folder in folders]
    done = subprocess.run([sys.executable, str(bundle / "run.py"), *shown], capture_output=True, text=True)
    answers = [line.partition(": ")[2].rpartition(" (")[0] for line in done.stdout.splitlines()]
    assert answers == [folder.name for folder in folders], done.stderr


def test_a_file_and_arrays_need_no_more(empty: Workspace) -> None:
    brought.arrays(empty.root / "quarters.npz", 120)
    begun = empty.run("init", "quarters.onnx", "--data", "quarters.npz", "--labels", "a,b,c,d", "--json")
    assert begun.code == 0, begun.err
    assert begun.document["checked"]["right"]["output"] == {"right": 6, "count": 6}
    text = (empty.root / "models" / "quarters" / "model.toml").read_text()
    assert 'file = "../../quarters.npz"' in text
    assert 'labels = ["a", "b", "c", "d"]' in text
    again = empty.run("models", "check", "quarters", "--json")
    assert (again.code, again.document) == (0, begun.document["checked"] | {"recipe": "careful"})
    assert again.document["techniques"]["int8"] == again.document["recipes"]["float16"] == ""
    assert again.document["techniques"]["distill"].startswith("'distill' works on torch, and quarters comes as onnx")
    assert again.document["recipes"]["balanced"].startswith("'prune_channels' works on torch")
    plan = empty.run("plan", "--target", "host", "--recipe", "int8", "--json").document["steps"]
    assert {step["state"] for step in plan if step["step"] in ("quarters/data", "quarters/float")} == {"current"}
    empty.edit("models/quarters/model.toml", 'use = "npz"', 'use = "npz"\nlabels = ["kinds"]')
    wrong = empty.run("models", "check", "quarters")
    (told,) = [line for line in wrong.err.splitlines() if not line.startswith(("run ", "done "))]
    named = "edgebuild: models/quarters/model.toml: data.file: '../../quarters.npz' has no array for the labels of "
    assert (wrong.code, told.startswith(named)) == (2, True), told


def test_a_class_and_its_checkpoint_are_a_model_by_one_command(tmp_path: Path, shared_store: Path) -> None:
    """What its file imports comes along; weights of another width are told by name, and nothing is left."""
    root = tmp_path / "empty"
    (root / "theirs").mkdir(parents=True)
    brought.pictures(root / "pictures")
    (root / "theirs" / "net.py").write_text(NET)
    (root / "theirs" / "layers.py").write_text("from torch.nn import Linear, ReLU\n")
    weights = {"1.weight": torch.zeros(8, 144), "1.bias": torch.zeros(8)}
    torch.save(weights | {"3.weight": torch.zeros(4, 8), "3.bias": torch.zeros(4)}, root / "w.pth")
    empty = Workspace(root, shared_store)
    asked = ("init", "theirs/net.py:net", "--weights", "w.pth", "--data", "pictures", "--shape", "image=1,1,12,12")
    other = empty.run(*asked)
    assert (other.code, "the weights do not fit: of another shape: '1.weight' [8, 144]" in other.err) == (2, True)
    assert not (root / "models").exists()
    begun = empty.run(*asked, "--option", "width=8", "--json")
    assert begun.code == 0, begun.err
    assert begun.document["checked"]["techniques"]["prune_channels"] == ""
    assert {path.name for path in (root / "models" / "net").iterdir()} == {
        "model.toml",
        "model.py",
        "layers.py",
        "w.pth",
    }


NET = """import layers
from torch import nn


def net(width=16):
    flat = nn.Flatten()
    return nn.Sequential(flat, layers.Linear(144, width), layers.ReLU(), layers.Linear(width, 4))
"""


def test_a_name_and_pictures_become_a_judged_bundle_by_two_commands(tmp_path: Path, shared_store: Path) -> None:
    """With random weights, since that is what is said: they are trained on the pictures, and the report says so."""
    root = tmp_path / "empty"
    brought.pictures(root / "pictures")
    (root / "policies").mkdir()
    (root / "policies" / "default.toml").write_text(POLICY)
    empty = Workspace(root, shared_store)
    asked = ("init", "timm:test_efficientnet", "--data", "pictures", "--option", "in_chans=1")
    silent = empty.run(*asked)
    told = "timm:test_efficientnet: --weights: is missing: nothing is downloaded (a .safetensors or .pth file"
    assert (silent.code, silent.err.strip().removeprefix("edgebuild: ").startswith(told)) == (2, True), silent.err
    assert not (root / "models").exists()
    begun = empty.run(*asked, "--weights", "random", "--shape", "image=1,1,12,12", "--name", "quarters", "--json")
    assert begun.code == 0, begun.err
    assert begun.document["checked"]["techniques"]["prune_channels"] == ""
    empty.edit(
        "models/quarters/model.toml", "[data]", "[training]\nepochs = 10\nlearning_rate = 0.02\n\n[data]\ntest = 0.5"
    )
    empty.edit("targets/host.toml", "description", f"{TIMED}description")
    empty.edit("targets/host.toml", '[[runtimes]]\nformat = "tflite"\n', "")  # another file, the same again
    ran = empty.run("--target", "host", "--model", "quarters", "--recipe", "int8", "--json")
    assert ran.code == 0, ran.err
    manifest = json.loads((root / "dist" / "host" / "quarters" / "manifest.json").read_text())
    assert manifest["status"] == "released"
    noted = [note for note in manifest["notes"] if "began with random weights (seed 0), as asked" in str(note)]
    assert noted
    assert not (root / "models" / "quarters" / "model.py").exists()
