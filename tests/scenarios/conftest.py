"""The real command in a scratch folder; every scenario shares one store, so that the tiny model is made once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent / "project"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed with --json: one document and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A copy of the project that a test may change, and the command run inside it."""

    root: Path
    store: Path

    def run(self, *arguments: str, **variables: str) -> Ran:
        """`edgebuild ARGUMENTS` as a user would start it."""
        environment = os.environ | {"EDGEBUILD_STORE": str(self.store), "COLUMNS": "200"} | variables
        command = [sys.executable, "-P", "-m", "edgebuild", *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=300)
        return Ran(done.returncode, done.stdout, done.stderr)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one place in a file of the project."""
        path = self.root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} in {name}: {text.count(old)} times"
        path.write_text(text.replace(old, new))

    @property
    def bundle(self) -> Path:
        """Where the board's bundle goes."""
        return self.root / "dist" / "board" / "tiny"


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all scenarios."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Callable[[], Workspace]:
    """Makes copies of the project, below a path with a space."""

    def make() -> Workspace:
        root = tmp_path_factory.mktemp("a project") / "with space"
        shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__"))
        return Workspace(root, shared_store)

    return make


@pytest.fixture(scope="session")
def built(fresh: Callable[[], Workspace]) -> Workspace:
    """A project whose board bundle has been built; tests must not change it."""
    workspace = fresh()
    ran = workspace.run("--target", "board", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["status"] == "pass"
    return workspace


@pytest.fixture
def workspace(fresh: Callable[[], Workspace], built: Workspace) -> Iterator[Workspace]:
    """A project of the test's own; what the tiny model needs is in the store already."""
    made = fresh()
    yield made
    shutil.rmtree(made.root.parent)
