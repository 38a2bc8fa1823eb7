"""Curves of a step: what TensorBoard will show, in a folder beside the artifacts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from edgebuild.engine.curves import Curves
from tests import ROOT

# A step that draws and is killed, as by Ctrl-C, forked as steps are.
KILLED = """\
import multiprocessing, os, signal, sys
from pathlib import Path

from edgebuild.engine.curves import Curves


def step():
    Curves(Path(sys.argv[1])).add({"loss": 1.0}, 1)
    assert multiprocessing.get_start_method() == "forkserver"
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    process = multiprocessing.get_context("forkserver").Process(target=step)
    process.start()
    process.join()
    print(process.exitcode)
"""


def points(folder: Path) -> list[tuple[str, int, float]]:
    """(name, step, value) of every point in the folder's one file: records of length, check sum, event, check sum."""
    (path,) = folder.glob("events.*")
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    return found


def test_points_are_kept_and_a_schedule_that_starts_again_goes_on(tmp_path: Path) -> None:
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "events.of.before").write_text("old")
    drawn = Curves(tmp_path / "curves")
    drawn.add({"loss": 2.0, "learning_rate": 0.5}, 1)
    drawn.add({"loss": 1.0}, 11)
    drawn.add({"loss": 0.5}, 1)
    drawn.close()
    assert points(tmp_path / "curves") == [
        ("loss", 1, 2.0), ("learning_rate", 1, 0.5), ("loss", 11, 1.0), ("loss", 12, 0.5),
    ]  # fmt: skip


def test_a_run_that_goes_on_after_a_kill_keeps_the_curve_before_it(tmp_path: Path) -> None:
    for step in (1, 11):
        drawn = Curves(tmp_path / "curves")
        drawn.add({"loss": 1.0 / step}, step)
        drawn.close()
    assert len([*(tmp_path / "curves").glob("events.*")]) == 2


def test_a_step_without_curves_leaves_no_folder(tmp_path: Path) -> None:
    Curves(tmp_path / "curves").close()
    assert not (tmp_path / "curves").exists()


def test_curves_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    drawn = Curves(tmp_path / "file" / "curves")
    drawn.add({"loss": 1.0}, 1)
    drawn.close()


def test_of_a_step_that_is_killed_python_has_no_complaint_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "curves")]
    ran = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("-9\n", "")
