"""Olive's search has its minutes and no more, and what it had tried by then is read from its cache."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks.peers import _environments
from benchmarks.search import olive
from edgebuild.spec.errors import StepError

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("child", "w").write(str(child.pid))
time.sleep(60)
"""


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what is started in the place of Olive's search."""
    import sys

    monkeypatch.setattr(_environments, "HERE", tmp_path)
    monkeypatch.setattr(_environments, "python", lambda peer: Path(sys.executable))
    monkeypatch.setattr(olive, "_GRACE_SECONDS", 0.1)
    (tmp_path / "olive").mkdir()
    (tmp_path / "run").mkdir()
    return tmp_path / "olive" / "search.py"


def test_a_search_that_does_not_end_is_ended_with_all_that_it_started(peer: Path, tmp_path: Path) -> None:
    peer.write_text(STUBBORN)
    began = time.monotonic()
    said = olive._search(tmp_path / "float.onnx", tmp_path / "run", 0.5 / 60)
    assert (said.startswith("was ended"), time.monotonic() - began < 5) == (True, True)
    child = int((tmp_path / "run" / "olive" / "child").read_text())
    until = time.monotonic() + 5
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_one_that_fails_says_why(peer: Path, tmp_path: Path) -> None:
    peer.write_text("raise SystemExit('no such pass')")
    with pytest.raises(StepError, match="no such pass"):
        olive._search(tmp_path / "float.onnx", tmp_path / "run", 1.0)


def evaluated(cache: Path, name: str, made_by: str, accuracy: float, ms: float, size: int) -> None:
    signal = {
        "accuracy-accuracy_score": {"value": accuracy},
        "latency-avg": {"value": ms},
        "size-bytes": {"value": size},
    }
    for folder in ("evaluations", f"runs/{name}/models"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    (cache / "evaluations" / f"{name}-cpu-cpu.json").write_text(json.dumps({"signal": signal}))
    if made_by:
        (cache / "runs" / name / "models" / "model.onnx").touch()
        (cache / "runs" / name / "run.json").write_text(json.dumps({"pass_name": made_by}))


def test_what_was_tried_is_read_from_its_cache(tmp_path: Path) -> None:
    evaluated(tmp_path, "0" * 8, "", 0.99, 2.0, 100)
    evaluated(tmp_path, "1" * 8, "static", 0.985, 1.0, 30)
    evaluated(tmp_path, "2" * 8, "slower", 0.985, 1.5, 30)
    evaluated(tmp_path, "3" * 8, "wrong", 0.9, 0.1, 10)
    evaluated(tmp_path, "4" * 8, "smaller", 0.985, 3.0, 20)
    for number in range(9):
        evaluated(tmp_path, f"{number}" * 7 + "a", "more", 0.986, 1.1 + number / 10, 29 - number)
    (tmp_path / "evaluations" / "half.json").write_text('{"signal"')
    before, best = olive._front(olive._tried(tmp_path))
    assert before is not None
    assert (before.accuracy, before.file) == (0.99, None)
    names = [each.name for each in best]
    assert len(olive._tried(tmp_path)) == 14
    assert (names[0], len(names), {"slower", "wrong"} & {*names}) == ("static", olive._MOST, set())
    assert min(each.bytes for each in best) == 20
