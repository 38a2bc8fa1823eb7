"""What the engine's tests share: a store, a toybox on it, and a watch for processes that are left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebuild.engine import worker
from edgebuild.engine.store import Store
from tests import ROOT
from tests.engine.processes import eventually, forks, marked
from tests.engine.program import Program
from tests.engine.toybox import Toybox
from tests.memory import tmp_path

__all__ = ["tmp_path"]


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Workers import what they all need once instead of each: the main module, the toys, and nothing heavy."""
    worker.preload(("pytest", "tests.engine.toys"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def box(store: Store) -> Toybox:
    """An empty toybox on the store."""
    return Toybox(store)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A word for the command lines of a step's own processes; no process may be left when the test ends."""
    word = str(tmp_path)
    yield word
    assert eventually(lambda: not marked(word) and not forks()), f"left: {marked(word)} {forks()}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB, where root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not possible here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A file that steps note their runs in."""
    return tmp_path / "runs.txt"


@pytest.fixture
def start(tmp_path: Path, runs: Path) -> Iterator[Program]:
    """Starts a build as a program with a process group of its own, as a shell does; it may import from `tmp_path`."""
    started: list[subprocess.Popen[str]] = []
    path = os.pathsep.join((str(ROOT), str(tmp_path)))
    warned = "always,ignore:unclosed file:ResourceWarning"  # Ctrl-C may come between an opening and its `with`

    def program(*arguments: str, store: str = "store") -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.engine.program", str(tmp_path / store), str(runs), *arguments],
                env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": warned},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        )
        return started[-1]

    yield program
    for process in started:
        process.kill()
        process.communicate()
