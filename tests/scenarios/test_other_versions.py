"""What an earlier edgebuild made (a bundle and a baseline of commit de67e08): refused in one line, never misread.

`tests/data/schema-1.tar.xz` has both as they were sealed then, less their evidence, to be small.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests import ROOT
from tests.scenarios.conftest import Workspace


@pytest.fixture
def older(workspace: Workspace) -> Workspace:
    """A project with both in the places where this edgebuild has its own."""
    with tarfile.open(ROOT / "tests" / "data" / "schema-1.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python has no such filter
        archive.extractall(workspace.root / "older")
    (workspace.root / "dist" / "board").mkdir(parents=True)
    (workspace.root / "older" / "bundle").rename(workspace.bundle)
    (workspace.root / "baselines").mkdir()
    (workspace.root / "older" / "baseline").rename(workspace.root / "baselines" / "v0")
    return workspace


VERBS = {
    "report": ["report", "dist/board/tiny"],
    "diff": ["diff", "dist/board/tiny", "dist/board/tiny"],
    "gate": ["gate", "dist/board/tiny", "-t", "board"],
    "baseline set": ["baseline", "set", "dist/board/tiny"],
    "baseline show": ["baseline", "show", "v0"],
}


def test_a_bundle_and_a_baseline_of_before_are_refused_in_one_line(older: Workspace) -> None:
    for arguments in VERBS.values():
        ran = older.run(*arguments)
        told = "was made by another edgebuild: its manifest.json has schema 1, and this one reads 2"
        assert (ran.code, ran.err.count("\n"), told in ran.err) == (2, 1, True), (arguments, ran.err)
    listed = older.run("baseline", "list", "--json")
    assert listed.code == 0
    assert "schema 1" in listed.out


def test_its_digests_are_still_checked_and_it_still_runs(older: Workspace) -> None:
    assert older.run("verify", "dist/board/tiny", "--released").code == 0
    assert older.run("verify", "baselines/v0").code == 0
    done = subprocess.run(
        [sys.executable, "-I", "run.py", "sample.png"], cwd=older.bundle, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.partition(" thick ")[0]) == (0, "sample.png:")
    (older.bundle / "labels.json").write_text("[]")
    changed = older.run("verify", "dist/board/tiny")
    assert (changed.code, "labels.json: is not the file that was built" in changed.err) == (5, True)


def test_a_build_puts_a_new_bundle_in_its_place(older: Workspace) -> None:
    ran = older.run("--target", "board", "--json")
    assert ran.code == 0, ran.err
    assert json.loads((older.bundle / "manifest.json").read_text())["schema"] == 2
    assert older.run("verify", "dist/board/tiny").code == 0


def test_a_gate_against_a_baseline_of_before_is_refused(older: Workspace, built: Workspace) -> None:
    shutil.rmtree(older.bundle)
    shutil.copytree(built.bundle, older.bundle)
    ran = older.run("gate", "dist/board/tiny", "-t", "board", "--against", "v0")
    assert (ran.code, "v0: was made by another edgebuild" in ran.err) == (2, True)
    assert not Path(older.bundle, "evidence", "gate").exists()
