"""Somebody's Keras file: from an empty folder with pictures to a judged bundle, pruned and as TFLite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import brought
from tests.scenarios.conftest import PROJECT, Workspace


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, shared_store: Path, trained: Path) -> Workspace:
    """A folder in which `init` was run on the file and pictures."""
    root = tmp_path_factory.mktemp("keras")
    shutil.copyfile(trained, root / "quarters.keras")
    shutil.copytree(PROJECT / "targets", root / "targets")
    with (root / "targets" / "board.toml").open("a") as file:
        file.write('[[gates]]\nmetric = "source_parity"\nlimit = "1e-4"\n')
    brought.pictures(root / "pictures", 700)
    workspace = Workspace(root, shared_store)
    # ONNX files of lifted modules: test_file_source.py
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "onnx"\n\n', "")
    ran = workspace.run("init", "quarters.keras", "--data", "pictures", "--target", "board", "--json")
    assert ran.code == 0, ran.err
    right = ran.document["checked"]["right"]["output"]
    assert right["right"] == right["count"] > 10
    assert ran.document["checked"]["techniques"]["prune_channels"] == ""
    return workspace


def test_what_is_guessed_is_what_it_was_trained_with(begun: Workspace) -> None:
    text = (begun.root / "models" / "quarters" / "model.toml").read_text()
    assert 'use = "keras"\nfile = "quarters.keras"' in text
    assert "shape = [12, 12, 1]" in text
    assert 'layout = "nhwc"' in text


def test_it_is_pruned_distilled_quantized_and_judged(begun: Workspace) -> None:
    ran = begun.run("--target", "board", "--json")
    assert ran.code == 0, ran.err
    (bundle,) = ran.document["bundles"]
    assert {*bundle["formats"]} == {"tflite"}
    assert any("quarters.keras: answers as its file does" in note for note in bundle["notes"])
    manifest = json.loads((begun.root / "dist" / "board" / "quarters" / "manifest.json").read_text())
    footprint = manifest["evidence"]["footprint"]
    assert footprint["candidate"]["macs"] < 0.7 * footprint["baseline"]["macs"]
    (verdict,) = [one for one in manifest["verdicts"] if one["metric"] == "source_parity"]
    assert (verdict["status"], verdict["n"] > 100) == ("pass", True)
    assert "from the model that came, in keras 3" in verdict["reason"]
