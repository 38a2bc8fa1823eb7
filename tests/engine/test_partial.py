"""What a step keeps across an interruption, and the cores that steps share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebuild.engine.store import Store
from edgebuild.spec.cores import Cores
from edgebuild.spec.errors import EdgebuildError
from tests.engine import toys
from tests.engine.toybox import Toybox, tally


class TestPartial:
    def test_what_a_step_kept_before_it_failed_is_there_when_it_runs_again(self, box: Toybox, tmp_path: Path) -> None:
        broken, runs = tmp_path / "broken", tmp_path / "pieces.txt"
        broken.write_text("2")
        box.add("work", toys.Piecewise(4, str(broken), str(runs)))
        with pytest.raises(EdgebuildError, match="the board is gone"):
            box.build()
        assert [name for name, _, _ in tally(runs)] == ["0", "1"]
        broken.unlink()
        assert box.text(box.build()["work"]) == "0 1 2 3"
        assert [name for name, _, _ in tally(runs)] == ["0", "1", "2", "3"]

    def test_it_is_gone_once_the_step_ended_well(self, box: Toybox) -> None:
        box.add("work", toys.Piecewise())
        box.build()
        assert not list((box.store.root / "partial").iterdir())

    def test_steps_with_other_keys_do_not_see_it(self, box: Toybox, tmp_path: Path) -> None:
        broken, runs = tmp_path / "broken", tmp_path / "pieces.txt"
        broken.write_text("2")
        box.add("work", toys.Piecewise(4, str(broken), str(runs)))
        with pytest.raises(EdgebuildError):
            box.build()
        other = Toybox(box.store)
        other.add("work", toys.Piecewise(3, tally=str(runs)))
        assert other.text(other.build()["work"]) == "0 1 2"
        assert len(tally(runs)) == 2 + 3

    def test_what_nobody_took_up_for_a_week_goes(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        old, new = store.partial("old"), store.partial("new")
        for folder in (old, new):
            folder.mkdir()
        os.utime(old, (0, 0))
        store.close()
        Store(tmp_path / "store").close()
        assert (old.exists(), new.exists()) == (False, True)


class TestKept:
    def measured(self, box: Toybox, words: str, scale: float = 1.0) -> str:
        other = Toybox(box.store)
        other.add("step", toys.Measured(scale), words=other.add("words", toys.Write(words)))
        return other.text(other.build()["step"])

    def test_what_an_earlier_run_on_other_inputs_measured_is_not_measured_anew(self, box: Toybox) -> None:
        assert self.measured(box, "one two three") == "one two three"
        assert self.measured(box, "one four three") == "four"

    def test_with_another_option_all_is_measured(self, box: Toybox) -> None:
        self.measured(box, "one two")
        assert self.measured(box, "one three", scale=2.0) == "one three"

    @pytest.mark.parametrize("damage", ["", "{", '{"of": "one", "number": 7, "sha256": ""}', "[]", '{"number": "x"}'])
    def test_what_is_damaged_is_measured_anew(self, box: Toybox, damage: str) -> None:
        self.measured(box, "one two")
        (folder,) = (box.store.root / "kept").iterdir()
        for file in folder.iterdir():
            if '"one"' in file.read_text():
                file.write_text(damage)
        assert self.measured(box, "two one three") == "one three"

    def test_what_nobody_added_to_for_a_season_goes(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        old, new = store.kept("old"), store.kept("new")
        for folder in (old, new):
            folder.mkdir()
        os.utime(old, (0, 0))
        store.close()
        Store(tmp_path / "store").close()
        assert (old.exists(), new.exists()) == (False, True)


class TestCores:
    def test_a_step_alone_gets_all(self, box: Toybox) -> None:
        box.add("alone", toys.Spread("alone"))
        assert box.text(box.build(jobs=3)["alone"]) == "3"

    def test_two_at_once_share_them(self, box: Toybox, runs: Path) -> None:
        for name in ("one", "other"):
            box.add(name, toys.Spread(name, 0.5, str(runs)))
        done = box.build(jobs=2)
        (_, _, end), (_, start, _) = sorted(tally(runs), key=lambda run: run[1])
        beside = start < end
        assert not beside or [box.text(done[name]) for name in ("one", "other")] == ["1", "1"]

    def test_a_dead_holder_holds_nothing(self, tmp_path: Path) -> None:
        cores = Cores(tmp_path, 1)
        take = "import os, pathlib, sys; from edgebuild.spec.cores import Cores"
        take += "; held = Cores(pathlib.Path(sys.argv[1]), 1).take(); assert held; os.kill(os.getpid(), 9)"
        assert subprocess.run([sys.executable, "-c", take, str(tmp_path)], check=False).returncode == -9
        held = cores.take()
        assert held is not None
        assert cores.take() is None
        held.release()
        assert cores.take() is not None
