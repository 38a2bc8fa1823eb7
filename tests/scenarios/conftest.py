"""The real command in a scratch folder; every scenario shares one store, so that the tiny model is made once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.scenarios.resident import Resident

PROJECT = Path(__file__).parent / "project"
_TIMEOUT = 300  # seconds


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
        """`edgebuild ARGUMENTS` as a user would start it: in a process of its own where `variables` are those of steps
        too, and for the first use of each verb by any test. What comes after runs in one that stays, which saves each
        most of its time.
        """
        environment = os.environ | {"EDGEBUILD_STORE": str(self.store), "COLUMNS": "200"} | variables
        if not _resident().suits(environment) or _first(arguments[0]):
            return self.start(*arguments, **variables)
        return Ran(*_resident().run(arguments, self.root, environment, _TIMEOUT))

    def start(self, *arguments: str, **variables: str) -> Ran:
        """`edgebuild ARGUMENTS` in a process of its own."""
        environment = os.environ | {"EDGEBUILD_STORE": str(self.store), "COLUMNS": "200"} | variables
        command = [sys.executable, "-P", "-m", "edgebuild", *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=_TIMEOUT)
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


_USED: list[Path] = []  # the folder in which all processes of this run note the verbs that they use


def _first(word: str) -> bool:
    """Whether no command of this run began so before, in whatever process."""
    try:
        (_USED[0] / word).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@cache
def _resident() -> Resident:
    return Resident()


@pytest.fixture(scope="session", autouse=True)
def resident(common: Path) -> Iterator[None]:
    """The process that runs commands has the environment of before the first test, and ends with the last."""
    (common / "verbs").mkdir(exist_ok=True)
    _USED[:] = [common / "verbs"]
    _resident()
    yield
    _resident().close()


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory, common: Path) -> Path:
    """One store for all scenarios that a process runs; what the board needs is in it, and made once for all processes.

    Not one for all of them: some copy it whole, which another's build would disturb.
    """
    made, project = common / "scenarios" / "made", common / "scenarios" / "project"
    made.parent.mkdir(exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.is_dir():
            shutil.rmtree(project, ignore_errors=True)
            ran = Workspace(_copied(project), made.with_name("making")).start("--target", "board")
            assert ran.code == 0, ran.err
            made.with_name("making").rename(made)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("store") / "own"))


def _copied(root: Path) -> Path:
    return Path(shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Callable[[], Workspace]:
    """Makes copies of the project, below a path with a space."""

    def make() -> Workspace:
        return Workspace(_copied(tmp_path_factory.mktemp("a project") / "with space"), shared_store)

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
