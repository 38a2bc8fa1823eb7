"""What is said while a build runs: plain lines in a log, bars on a terminal; any text is shown as it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from edgebuild.report.bars import Bars
from edgebuild.report.lines import Lines
from edgebuild.report.progress import display
from tests.report import screen

ODD = "option.x [/] → [red], [hardware.core]"


def test_a_log_has_a_line_when_a_step_starts_and_one_when_it_ends() -> None:
    stream = io.StringIO()
    with display(stream) as listener:
        listener.cached("board/tiny/data")
        listener.notice("board: the emulator is not set up")
        listener.started("board/tiny/judge", ODD)
        listener.progress("board/tiny/judge", 0.5, "half")
        listener.finished("board/tiny/judge", 0.0123, False)
        listener.waiting("board/tiny/bundle", "another build runs it")
        listener.finished("board/tiny/bundle", 61.0, True)
    assert stream.getvalue().splitlines() == [
        "note  board: the emulator is not set up",
        f"run   board/tiny/judge  ({ODD})",
        "done  board/tiny/judge  12.3 ms",
        "wait  board/tiny/bundle  (another build runs it)",
        "done  board/tiny/bundle  61 s, same bytes as before",
    ]


def test_a_line_is_flushed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "flush", lambda: flushed.append(stream.getvalue()))
    Lines(stream).started("a", "b")
    assert flushed == ["run   a  (b)\n"]


def test_bars_show_any_text_as_it_is() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, color_system=None)
    columns = (TextColumn("{task.description}"), TextColumn("[dim]{task.fields[note]}"))
    with Progress(*columns, console=console, auto_refresh=False) as shown:
        bars = Bars(lambda: shown)
        bars.cached("silent")
        bars.notice(f"notice {ODD}")
        bars.started("a [step]", f"reason {ODD}")
        shown.refresh()
        bars.progress("a [step]", 0.5, f"half {ODD}")
        shown.refresh()
        bars.finished("a [step]", 2.0, True)
        bars.waiting("another [step]", "another build [runs] it")
    said = stream.getvalue()
    for text in (
        f"! notice {ODD}",
        f"a [step] reason {ODD}",
        f"a [step] half {ODD}",
        "… another [step]  another build [runs] it",
    ):
        assert text in said
    assert "✓ a [step]  2 s, same bytes as before" in said
    assert "silent" not in said


STEPS = """
import sys, time
from edgebuild.report.progress import display
with display(sys.stderr) as listener:
    for name in ("data", "train", "judge"):
        listener.started(f"board/tiny/{name}", "option.ratio 0.5 → 0.51, and a reason that is long " * 4)
        time.sleep(0.3)  # a few frames
        listener.progress(f"board/tiny/{name}", 0.5, "half")
        time.sleep(0.2)
        listener.finished(f"board/tiny/{name}", 1.0, False)
print("released")
"""


class TestTerminal:
    @pytest.fixture(scope="class")
    def said(self) -> str:
        """What three steps write to a real terminal."""
        return screen.run(STEPS)

    def test_a_finished_step_leaves_one_line_and_no_spinner(self, said: str) -> None:
        shown = screen.Screen()
        shown.write(said)
        assert shown.text == [*(f"✓ board/tiny/{name}  1 s" for name in ("data", "train", "judge")), "released"]

    def test_no_frame_shows_a_step_beside_the_line_of_its_end(self, said: str) -> None:
        """However fast the terminal is: after the line nothing is ever drawn of that step again."""
        for name in ("data", "train", "judge"):
            _, end, after = said.partition(f"✓\x1b[0m board/tiny/{name}")
            assert end
            assert f"board/tiny/{name}" not in after

    def test_a_long_reason_leaves_the_steps_name_and_its_bar(self, said: str) -> None:
        before_the_end = said.partition("✓")[0]
        assert "board/tiny/data" in before_the_end
        assert "half" in before_the_end
        shown = screen.Screen()
        for frame in before_the_end.split("\r"):
            shown.write("\r" + frame)
            assert all(len(line) <= 80 for line in shown.text)
