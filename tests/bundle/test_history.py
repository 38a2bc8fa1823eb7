"""The history file: appended by several at once, read line by line, and honest about damage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgebuild.bundle import commit, history
from edgebuild.spec.errors import UsageError

JUDGED: dict[str, Any] = {
    "status": "pass",
    "format": "onnx",
    "verdicts": [
        {"metric": "size", "limit": "-60 %", "status": "pass", "estimate": 1.0, "low": 1.0, "high": 1.0, "n": 1,
         "fidelity": "hardware", "reason": "why", "unit": "B"},
    ],
    "evidence": {"latency": {"candidate_seconds": [0.001, 0.003, 0.002], "baseline_seconds": [0.004]}},
}  # fmt: skip


def entry(root: Path, **more: Any) -> dict[str, Any]:
    return history.entry(root, "build", "board", "tiny", JUDGED | more, {"candidate": "c" * 64}, {"cpu": "x"})


def test_an_entry_has_the_verdicts_figures_and_the_middle_of_the_times(tmp_path: Path) -> None:
    found = entry(tmp_path)
    assert found["seconds"] == {"candidate": 0.002, "baseline": 0.004}
    assert found["verdicts"] == [
        {"metric": "size", "limit": "-60 %", "status": "pass", "estimate": 1.0, "low": 1.0, "high": 1.0, "n": 1,
         "fidelity": "hardware"},
    ]  # fmt: skip
    assert (found["fingerprint"], found["digests"]) == ({"cpu": "x"}, {"candidate": "c" * 64})


def test_evidence_without_time_is_no_time(tmp_path: Path) -> None:
    assert entry(tmp_path, evidence={})["seconds"] == {"candidate": None, "baseline": None}


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    first, second = entry(tmp_path), entry(tmp_path, status="fail")
    history.append(tmp_path, [first])
    history.append(tmp_path, [second])
    assert history.read(tmp_path) == history.History((first, second))
    history.append(tmp_path, [])
    assert len(history.read(tmp_path).entries) == 2


WRITER = """
import sys
from pathlib import Path
from edgebuild.bundle import history
for number in range(50):
    history.append(Path(sys.argv[1]), [{"writer": sys.argv[2], "number": number, "long": "x" * 9000}])
"""


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", WRITER, str(tmp_path), str(k)] for k in range(4)]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait(timeout=120) == 0
    lines = [json.loads(line) for line in (tmp_path / history.FILE).read_text().splitlines()]
    assert {(line["writer"], line["number"]) for line in lines} == {(str(k), n) for k in range(4) for n in range(50)}
    assert len(lines) == 200


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    good = entry(tmp_path)
    history.append(tmp_path, [good])
    path = tmp_path / history.FILE
    path.write_bytes(path.read_bytes() + b'{"time": "20')  # a writer that was killed
    history.append(tmp_path, [good])
    assert history.read(tmp_path) == history.History((good, good), damaged=(2,))


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[]", b"7", b"{}", b'{"time": 1}', b"[" * 100_000])
def test_what_is_no_entry_is_damaged(tmp_path: Path, line: bytes) -> None:
    (tmp_path / history.FILE).write_bytes(line + b"\n")
    assert history.read(tmp_path) == history.History((), damaged=(1,))


def test_no_history_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no history yet"):
        history.read(tmp_path)
    (tmp_path / history.FILE).write_bytes(b"")
    with pytest.raises(UsageError, match="a build or a gate writes its first line"):
        history.read(tmp_path)
    (tmp_path / history.FILE).unlink()
    (tmp_path / history.FILE).mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        history.read(tmp_path)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_commit_is_told_with_whether_files_changed_since(tmp_path: Path) -> None:
    assert commit.at(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit.at(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit.at(tmp_path) == {"id": head, "changed": False}
    (tmp_path / "untracked").write_text("1")
    assert commit.at(tmp_path) == {"id": head, "changed": False}
    (tmp_path / "a").write_text("2")
    assert commit.at(tmp_path) == {"id": head, "changed": True}
