"""A model of two inputs of different types and three outputs of different shapes, from its plan to its bundle's answer.

One output is a class, one a place, one has no task; every step of the way has all of them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.scenarios.conftest import Workspace

OUTPUTS = {"kind", "features", "place"}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Workspace:
    """The project after its one build; tests must not change it."""
    root = tmp_path_factory.mktemp("several") / "project"
    shutil.copytree(Path(__file__).parent / "several", root)
    shutil.copytree(tiny.MODELS / "scene", root / "models" / "scene", ignore=shutil.ignore_patterns("__pycache__"))
    workspace = Workspace(root, shared_store)
    ran = workspace.run("--target", "board", "--json")
    assert ran.code == 0, ran.err + ran.out
    return workspace


@pytest.fixture(scope="module")
def bundle(several: Workspace) -> Path:
    return several.root / "dist" / "board" / "scene"


def test_every_output_is_compared_with_the_models(several: Workspace) -> None:
    (built,) = several.run("--target", "board", "--json").document["bundles"]
    (found,) = built["formats"].values()
    assert found["status"] == "pass"
    outputs = found["evidence"]["parity"]["outputs"]
    assert {*outputs} == OUTPUTS
    assert all(output["converted"]["relative"] < 1e-4 for output in outputs.values())
    assert all(0 < output["candidate"]["relative"] < 0.3 for output in outputs.values())
    assert {name for name, output in outputs.items() if output["converted"].get("agreement") is not None} == {"kind"}


def test_a_gate_holds_for_each_head_that_has_its_metric_and_says_for_which(several: Workspace, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    judged = {(verdict["metric"], verdict["output"]): verdict for verdict in manifest["verdicts"]}
    assert {*judged} == {
        ("accuracy", "kind"), ("mae", "place"), ("size", ""), ("parity", ""), ("parity", "features"),
    }  # fmt: skip
    assert {verdict["status"] for verdict in judged.values()} == {"pass"}
    assert re.search(r"worst of 3 outputs: '(kind|features|place)'", judged["parity", ""]["reason"])
    printed = several.run("report", str(bundle)).out
    for words in ("accuracy of kind", "mae of place", "parity of features"):
        assert words in printed
    card = (bundle / "README.md").read_text()
    assert "| accuracy of kind |" in card


def test_pruning_and_distillation_kept_what_makes_the_outputs(several: Workspace, bundle: Path) -> None:
    evidence = json.loads((bundle / "manifest.json").read_text())["evidence"]
    assert evidence["footprint"]["candidate"]["parameters"] < 0.7 * evidence["footprint"]["baseline"]["parameters"]
    (proof,) = (evidence["proof"],)
    assert [step["step"] for step in proof["steps"]] == ["prune_channels", "distill", "int8"]
    assert all({*step["drops"]} == {"kind", "place"} for step in proof["steps"])


def test_the_bundle_answers_with_every_output_by_head(bundle: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(bundle / "run.py"), str(bundle / "sample.npz")],
        capture_output=True, text=True, cwd="/", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(
        r"sample.npz: kind: (low|high) (dark|bright) \([\d.]+ %\); place: (-?[\d.e-]+) (-?[\d.e-]+); "
        r"features: \[8, 3, 3\] from (-?[\d.e-]+) to ([\d.e-]+)\n",
        done.stdout,
    )
    assert said, done.stdout
    with np.load(bundle / "sample.npz") as sample:
        picture, words = sample["0"], sample["1"]
    rows, columns = (picture[0, 0].sum(axis) for axis in (1, 0))
    there = [float(np.linspace(-1, 1, 12)[place.argmax()]) for place in (rows, columns)]
    assert [float(said.group(k)) for k in (3, 4)] == pytest.approx(there, abs=0.5)
    assert words.dtype == np.int64


def test_a_changed_weight_of_a_head_trains_again_and_its_meaning_does_not(several: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(several.root, root)
    copy = Workspace(root, several.store)
    copy.edit("models/scene/model.toml", 'meaning = "row and column from -1 to 1"', 'meaning = "where"')
    explained = copy.run("explain", "--target", "board", "--json").document["steps"]
    assert [entry["step"] for entry in explained if entry["state"] == "run"] == ["board/scene/bundle"]
    copy.edit("models/scene/model.toml", "weight = 0.5", "weight = 0.7")
    explained = copy.run("explain", "--target", "board", "--json").document["steps"]
    first = next(entry for entry in explained if entry["state"] == "run")
    assert (first["step"], first["reason"]) == ("scene/data", "option.heads[1].weight 0.5 → 0.7")
