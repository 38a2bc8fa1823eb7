"""A cascade of two recipes, from its declaration to a bundle whose runner opens the large file only where it must."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgebuild.travels import route_cascade
from tests.scenarios.conftest import Workspace

WHOLE = """\
description = "Bars: a pruned file answers where it is sure, else one that is not pruned"
base = "tiny"
by_name = true

[assembly]
use = "cascade"
loss = 0.06
parts = [{name = "small"}, {name = "large", recipe = "int8"}]
"""


@pytest.fixture(scope="module")
def both(fresh, built: Workspace) -> Workspace:  # type: ignore[no-untyped-def]
    """The project after the build of its cascade; tests must not change it. What `built` made is used again."""
    workspace: Workspace = fresh()
    folder = workspace.root / "models" / "both"
    folder.mkdir()
    (folder / "model.toml").write_text(WHOLE)
    ran = workspace.run("--target", "board", "--model", "both", "--json")
    assert ran.code == 0, ran.err
    assert not {"Train", "distill"} & {line["step"].rpartition("/")[2] for line in ran.document["ran"]}
    return workspace


@pytest.fixture
def bundle(both: Workspace, tmp_path: Path) -> Path:
    """A copy of the bundle alone."""
    return shutil.copytree(both.root / "dist" / "board" / "both", tmp_path / "bundle")


def answers(bundle: Path, image: np.ndarray) -> str:
    np.save(bundle.parent / "image.npy", image)
    command = [sys.executable, "-P", str(bundle / "run.py"), str(bundle.parent / "image.npy"), "--top", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_large_file_is_opened_only_where_the_small_one_is_not_sure(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    image = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)

    def routed(threshold: float) -> str:
        rule = manifest["router"]["rule"] | {"threshold": threshold}
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"router": manifest["router"] | {"rule": rule}}))
        return answers(bundle, image)

    large = routed(2.0)
    file = next(bundle.glob("large.*"))
    content = file.read_bytes()
    file.unlink()
    small = routed(0.0)
    assert small != large
    with pytest.raises(AssertionError, match=file.name):
        routed(2.0)
    file.write_bytes(content)
    assert routed(2.0) == large


def test_the_manifest_and_the_report_say_how_often_each_runs_and_what_that_costs(both: Workspace) -> None:
    folder = both.root / "dist" / "board" / "both"
    manifest = json.loads((folder / "manifest.json").read_text())
    joined, latency = manifest["evidence"]["joined"], manifest["evidence"]["latency"]
    assert [part["name"] for part in joined["parts"]] == ["small", "large"]
    assert joined["times"]["worst"] == pytest.approx(sum(part["seconds"] for part in joined["parts"]))
    samples = json.loads((folder / "evidence" / "latency" / "samples.json").read_text())
    share = joined["parts"][1]["runs"]["share"]["high"]
    for process, seconds in zip(samples, latency["candidate_seconds"], strict=True):
        parts = [process["values"][f"part-{name}-{manifest['format']}"] for name in ("small", "large")]
        rounds = [round(small + share * large) for small, large in zip(*parts, strict=True)]
        assert statistics.median(rounds) * 1e-9 == pytest.approx(seconds)
    report = both.run("report", str(folder)).out
    assert "cascade: mean" in report
    assert "worst case" in report


def test_the_judge_counts_the_answers_of_the_rule_that_ships(both: Workspace) -> None:
    folder = both.root / "dist" / "board" / "both"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["evidence"]["accuracy"]["heads"]["output"]["n"] == 600
    assert {*manifest["router"]["rule"]} == {"temperature", "threshold"}
    assert manifest["router"]["program"] == Path(route_cascade.__file__).name
    assert both.run("verify", str(folder), "--released").code == 0


def test_what_works_on_one_file_says_that_this_is_several(both: Workspace) -> None:
    ran = both.run("gate", "dist/board/both", "--target", "board")
    assert ran.code == 2
    assert "is an assembly of 2 files" in ran.err
    again = both.run("--target", "board", "--model", "both", "--json")
    assert (again.code, again.document["ran"]) == (0, [])
