"""A model with weights and data from elsewhere: what was done to take them is told wherever a user looks."""

from __future__ import annotations

import json

import numpy as np
import torch
from safetensors.torch import load_file

from edgebuild.engine.store import Store
from tests.scenarios.conftest import Workspace


def test_weights_of_a_wrapped_model_and_data_outside_are_taken_and_told(workspace: Workspace) -> None:
    folder, store = workspace.root / "models" / "tiny", Store(workspace.store)
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")  # one format takes half the time
    trained = store.last("tiny/float")
    assert trained is not None
    tensors = load_file(store.path(trained.output) / "weights.safetensors")
    store.close()
    torch.save(
        {"epoch": 4, "state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, folder / "w.pth"
    )
    np.save(workspace.root / "named.npy", np.ones(3))
    np.save(workspace.root / "unnamed.npy", np.ones(3))
    with (folder / "model.py").open("a") as code:
        code.write("\n\nsynthetic = load\n\n\ndef load(reads):\n    named = reads['../../named.npy']\n")
        code.write("    np.load(named), np.load(named.with_name('unnamed.npy'))\n    return synthetic()\n")
    workspace.edit(
        "models/tiny/model.toml", 'data = "load"', 'data = "load"\nweights = "w.pth"\nreads = ["../../named.npy"]'
    )
    (workspace.root / "recipes").mkdir()
    (workspace.root / "recipes" / "half.toml").write_text('description = "Half"\nsteps = [{use = "float16"}]\n')
    ran = workspace.run("--target", "board", "--recipe", "half", "--json")
    assert ran.code == 1, ran.err  # the size gate: half of the bytes is not enough
    (bundle,) = ran.document["bundles"]
    told = "tiny/float: models/tiny/w.pth: tensors are those under 'state_dict' in the file"
    weights = f"{told}; the prefix 'module.' of all names is left out"
    data = (
        "tiny/data: load() read 'unnamed.npy', which reads does not name: when they change, the data is not loaded anew"
    )
    cut = "tiny/data: load() gave no validation split: 51 of 512 training examples are set aside for it"
    assert sorted(bundle["notes"]) == [cut, data, weights]
    assert not any(step["step"] == "tiny/float" and "train" in step["reason"] for step in ran.document["ran"])
    assert sorted(json.loads((workspace.bundle.parent / "tiny.evidence" / "notes.json").read_text())) == [
        cut,
        data,
        weights,
    ]

    again = workspace.run("--target", "board", "--recipe", "half")
    assert f"note: {weights}" in again.out
    assert "nothing changed, nothing run" in again.out
    assert "read 'unnamed.npy'" in workspace.run("plan", "--target", "board", "--recipe", "half").out
    np.save(workspace.root / "named.npy", np.zeros(3))
    plan = workspace.run("plan", "--target", "board", "--recipe", "half", "--json").document
    (loading,) = [step for step in plan["steps"] if step["step"] == "tiny/data"]
    assert loading["state"] == "run"
    assert loading["reason"].startswith("option.reads[0].digest")
