"""Builds that are killed, interrupted, or not alone: the store stays whole and the next build gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import ROOT
from tests.engine.processes import alive, below, eventually, marked
from tests.engine.program import SIZE, Program, ended
from tests.engine.toybox import tally, unsound


def names(runs: Path) -> Counter[str]:
    return Counter(name for name, _, _ in tally(runs))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a build that nobody disturbs prints."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = [sys.executable, "-m", "tests.engine.program", str(folder / "store"), str(folder / "runs.txt")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100).stdout


class TestTwoAtOnce:
    def test_they_give_the_same_bytes_and_run_each_action_once(
        self, start: Program, runs: Path, tmp_path: Path, expected: str
    ) -> None:
        both = [start(), start()]
        assert [ended(process) for process in both] == [(0, expected, "")] * 2
        assert sum(names(runs).values()) == SIZE
        assert unsound(tmp_path / "store") == []

    def test_when_one_is_killed_the_other_takes_over(
        self, start: Program, runs: Path, tmp_path: Path, expected: str
    ) -> None:
        one, other = start(), start()
        assert eventually(lambda: tally(runs))
        one.kill()
        assert ended(other) == (0, expected, "")
        assert ended(start()) == (0, expected, "")
        assert unsound(tmp_path / "store") == []


class TestInterrupted:
    @pytest.mark.parametrize("after", [3])
    def test_ctrl_c_leaves_a_clean_store_that_the_next_build_resumes(
        self, start: Program, runs: Path, tmp_path: Path, expected: str, after: int
    ) -> None:
        process = start()
        assert eventually(lambda: len(tally(runs)) >= after and len(below(process.pid)) >= 4)
        workers = below(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process) == (130, "", "")
        assert eventually(lambda: not any(map(alive, workers)))
        assert not list((tmp_path / "store" / "tmp").iterdir())
        assert unsound(tmp_path / "store") == []
        before = names(runs)
        assert ended(start()) == (0, expected, "")
        assert max((names(runs) - before).values()) == 1
        assert sum(names(runs).values()) <= SIZE + 2, "more ran twice than were running when it was interrupted"

    def test_ctrl_c_stops_what_a_step_has_started(self, start: Program, tmp_path: Path) -> None:
        process = start("start_session_and_sleep", str(tmp_path / "mark"))
        assert eventually(lambda: len(marked(str(tmp_path / "mark"))) == 2)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process) == (130, "", "")
        assert not marked(str(tmp_path / "mark"))

    def test_ctrl_c_while_the_heavy_packages_are_imported_is_quiet(self, start: Program, tmp_path: Path) -> None:
        code = "import pathlib, time; pathlib.Path(__file__).with_suffix('.here').touch(); time.sleep(0.7)"
        (tmp_path / "heavy.py").write_text(code)
        process = start("--preload", "heavy")
        assert eventually((tmp_path / "heavy.here").exists)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process) == (130, "", "")


class TestKilled:
    @pytest.mark.parametrize("after", [0, 5])
    def test_its_workers_die_and_the_next_build_resumes(
        self, start: Program, runs: Path, tmp_path: Path, expected: str, after: int
    ) -> None:
        process = start()
        assert eventually(lambda: len(tally(runs)) >= after and len(below(process.pid)) >= 2)
        workers = below(process.pid)
        process.kill()
        process.wait()
        assert eventually(lambda: not any(map(alive, workers)))
        done = len(tally(runs))
        assert done <= after + 3 or after == 9
        assert ended(start()) == (0, expected, "")
        assert sum(names(runs).values()) <= SIZE + 2
        assert not list((tmp_path / "store" / "tmp").iterdir())
        assert unsound(tmp_path / "store") == []

    def test_what_a_step_has_started_dies_too(self, start: Program, tmp_path: Path) -> None:
        process = start("start_session_and_sleep", str(tmp_path / "mark"))
        assert eventually(lambda: len(marked(str(tmp_path / "mark"))) == 2)
        below_it = below(process.pid)
        process.kill()
        process.wait()
        assert eventually(lambda: not marked(str(tmp_path / "mark")) and not any(map(alive, below_it)))

    def test_a_terminal_that_is_closed_ends_all(self, start: Program, tmp_path: Path) -> None:
        process = start("start_session_and_sleep", str(tmp_path / "mark"))
        assert eventually(lambda: len(marked(str(tmp_path / "mark"))) == 2)
        os.killpg(process.pid, signal.SIGHUP)
        process.wait()
        assert eventually(lambda: not marked(str(tmp_path / "mark")))
