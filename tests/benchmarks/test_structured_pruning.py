"""The comparison of pruners keeps what is done network by network, and a failure of a tool is a row of the table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import structured_pruning
from benchmarks.peers import _environments

PRINTS = "print('warning'); print('{\"lost\": 0.5}')"
STOPPED = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
GIVES_UP = "import sys; sys.stderr.write('no rule for this'); sys.exit(0)"
FAILS = "raise ValueError('shapes do not fit')"
SPINS = "while True: pass"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_environments, "cache", lambda: tmp_path)


def kept(code: str) -> dict[str, object]:
    return structured_pruning._kept("side", "timm/net", [sys.executable, "-c", code], [])


def test_what_is_done_of_a_network_is_not_done_again() -> None:
    assert kept(PRINTS) == {"lost": 0.5}
    assert kept(FAILS) == {"lost": 0.5}


def test_a_tool_that_fails_or_takes_too_long_is_a_result_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured_pruning, "_LIMIT", 1)
    assert structured_pruning._ran([sys.executable, "-c", FAILS]) == {"error": "ValueError: shapes do not fit"}
    assert structured_pruning._ran([sys.executable, "-c", GIVES_UP]) == {"error": "no rule for this"}
    assert "CPU time" in structured_pruning._ran([sys.executable, "-c", SPINS])["error"]


def test_what_was_stopped_is_done_another_time(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        kept(STOPPED)
    assert not [*tmp_path.rglob("*.json")]
    assert kept(PRINTS) == {"lost": 0.5}


def test_once_stopped_the_table_is_of_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(command: list[str]) -> dict[str, object]:
        if command[-1] == "timm/resnet50":
            raise KeyboardInterrupt
        return {"lost": 0.5, "whole": {"head": "it makes an output"}}

    monkeypatch.setattr(structured_pruning, "_peer", lambda peer: [peer])
    monkeypatch.setattr(structured_pruning, "_ran", ran)
    table = structured_pruning.run(small=False)[0]
    assert [row["lost"] for row in table.rows] == [0.5] + [None] * 39
    assert [row["protected"] for row in table.rows[:2]] == [1, None]
    assert (table.figures["tinynn"], table.figures["tinynn_of"], table.figures["ours_of"]) == ("1", "1", "1")
    assert any(note.startswith("Not run by ours: timm/resnet50, ") for note in table.notes)
