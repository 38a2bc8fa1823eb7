"""A network with an early exit, from its declaration to a bundle whose rest goes on from the features of the exit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgebuild.travels import route_cascade
from tests.scenarios.conftest import Workspace

EXITING = """\
description = "Bars: an exit behind the first layer answers where it is sure, else the others go on"
base = "tiny"
by_name = true

[assembly]
use = "early_exit"
after = "first"
loss = 0.06
parts = [{}]
"""


@pytest.fixture(scope="module")
def exiting(fresh, built: Workspace) -> Workspace:  # type: ignore[no-untyped-def]
    """The project after the build of a network with an exit; tests must not change it."""
    workspace: Workspace = fresh()
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")  # one format takes half the time
    folder = workspace.root / "models" / "exiting"
    folder.mkdir()
    (folder / "model.toml").write_text(EXITING)
    ran = workspace.run("--target", "board", "--model", "exiting", "--json")
    assert ran.code == 0, ran.err
    names = {line["step"].rpartition("/")[2] for line in ran.document["ran"]}
    assert not {"Train", "distill"} & names
    assert {"exit", "rest", "features", "rule"} <= names
    return workspace


@pytest.fixture
def bundle(exiting: Workspace, tmp_path: Path) -> Path:
    """A copy of the bundle alone."""
    return shutil.copytree(exiting.root / "dist" / "board" / "exiting", tmp_path / "bundle")


def routed(bundle: Path, threshold: float, x: np.ndarray) -> np.ndarray:
    """What the bundle's runner answers with this threshold."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    rule = manifest["router"]["rule"] | {"threshold": threshold}
    path.write_text(json.dumps(manifest | {"router": manifest["router"] | {"rule": rule}}))
    np.save(bundle.parent / "x.npy", x)
    answers = "import runpy, sys, numpy as np; run = runpy.run_path(sys.argv[1]); "
    answers += "np.save(sys.argv[3], [run['answer']([row[None]])[0] for row in np.load(sys.argv[2])])"
    places = map(str, (bundle / "run.py", bundle.parent / "x.npy", bundle.parent / "y.npy"))
    done = subprocess.run([sys.executable, "-P", "-c", answers, *places], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return np.load(bundle.parent / "y.npy")


def test_the_rest_goes_on_from_the_features_and_only_where_the_exit_is_not_sure(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert [part["name"] for part in manifest["parts"]] == ["exit", "rest"]
    x = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32)
    late, early = routed(bundle, 2.0, x), routed(bundle, 0.0, x)
    sure = route_cascade.confidence(early, manifest["router"]["rule"]["temperature"])
    threshold = float(np.sort(sure)[9:11].mean())
    assert np.array_equal(routed(bundle, threshold, x), np.where((sure < threshold)[:, None], late, early))
    next(bundle.glob("rest.*")).unlink()
    assert np.array_equal(routed(bundle, 0.0, x), early)
    with pytest.raises(AssertionError, match=r"rest\.\w+, .* is not in this folder"):
        routed(bundle, 2.0, x)


def test_it_is_judged_as_a_whole_with_mean_worst_case_and_share(exiting: Workspace) -> None:
    folder = exiting.root / "dist" / "board" / "exiting"
    evidence = json.loads((folder / "manifest.json").read_text())["evidence"]
    first, rest = evidence["joined"]["parts"]
    times = evidence["joined"]["times"]
    assert first["runs"]["runs"] == first["runs"]["of"] == 600
    share = rest["runs"]["share"]
    assert share["low"] <= rest["runs"]["runs"] / 600 <= share["high"]
    assert times["worst"] == pytest.approx(first["seconds"] + rest["seconds"])
    assert times["mean"] == pytest.approx(first["seconds"] + rest["seconds"] * rest["runs"]["runs"] / 600)
    assert {*evidence["parity"]["outputs"]} == {"exit.output", "exit.features", "rest.output"}
    assert "early_exit: mean" in exiting.run("report", str(folder)).out
    assert exiting.run("verify", str(folder), "--released").code == 0
    assert exiting.run("--target", "board", "--model", "exiting", "--json").document["ran"] == []


def test_a_place_where_no_exit_can_stand_is_one_line(exiting: Workspace) -> None:
    wrong = exiting.root / "models" / "wrong"
    wrong.mkdir(exist_ok=True)
    (wrong / "model.toml").write_text(EXITING.replace('"first"', '"third"'))
    ran = exiting.run("--target", "board", "--model", "wrong")
    assert ran.code == 2
    told = "models/wrong/model.toml: assembly.after: the model runs no module 'third' (it runs first, second, head"
    assert told in ran.err


def test_a_gate_measures_both_halves_again(exiting: Workspace) -> None:
    ran = exiting.run("gate", "dist/board/exiting", "--target", "board", "--json")
    assert ran.code == 0, ran.err
    (compared,) = ran.document["comparisons"]
    built = json.loads((exiting.root / "dist" / "board" / "exiting" / "manifest.json").read_text())["evidence"]
    assert compared["evidence"]["accuracy"] == built["accuracy"]
    times = compared["evidence"]["joined"]["times"]
    assert times["worst"] == pytest.approx(sum(part["seconds"] for part in compared["evidence"]["joined"]["parts"]))
