"""The history file: appended by several at once, read line by line, and honest about damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.bundle import commit, history
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Evidence, Judged, Status, Verdict
from tests.measured import timed

SIZE = Verdict("size", "-60 %", "B", "pass", "why", "hardware", 1, 1.0, 1.0, 1.0)
TIMED = Evidence(latency=replace(timed(seconds=[0.001, 0.003, 0.002]), baseline_seconds=(0.004,)))


def entry(root: Path, status: Status = "pass", evidence: Evidence = TIMED) -> history.Entry:
    subject, judged = history.Subject("build", "board", "tiny", "onnx"), Judged(status, (SIZE,), evidence)
    return history.entry(root, subject, judged, {"candidate": "c" * 64}, {"cpu": "x"})


def test_an_entry_has_the_verdicts_figures_and_the_middle_of_the_times(tmp_path: Path) -> None:
    line = entry(tmp_path)
    assert line.seconds == history.Middles(0.002, 0.004)
    assert line.verdicts == (history.Figures("size", "-60 %", "pass", 1.0, 1.0, 1.0, 1, "hardware"),)
    assert (line.fingerprint, line.digests) == ({"cpu": "x"}, {"candidate": "c" * 64})


def test_evidence_without_time_is_no_time(tmp_path: Path) -> None:
    assert entry(tmp_path, evidence=Evidence()).seconds == history.Middles(None, None)


OLD = (
    '{"command": "gate", "commit": {"changed": true, "id": "abc"}, "digests": {"candidate": "c"}, "fingerprint": {}, '
    '"format": "onnx", "model": "tiny", "seconds": {"baseline": null, "candidate": 0.5}, "status": "fail", '
    '"target": "board", "time": "2026-01-01T00:00:00+00:00", "verdicts": [{"estimate": null, "fidelity": "host", '
    '"high": null, "limit": "1 pp", "low": null, "metric": "accuracy", "n": 0, "status": "fail"}]}'
)


def test_lines_of_the_version_before_are_read(tmp_path: Path) -> None:
    (tmp_path / history.FILE).write_text(OLD + "\n")
    (line,) = history.read(tmp_path).entries
    assert (line.commit, line.seconds.candidate) == (commit.Commit("abc", True), 0.5)
    assert documents.to_json(line) == json.loads(OLD)


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    first, second = entry(tmp_path), entry(tmp_path, status="fail")
    history.append(tmp_path, [first])
    history.append(tmp_path, [second])
    assert history.read(tmp_path) == history.History((first, second))
    history.append(tmp_path, [])
    assert len(history.read(tmp_path).entries) == 2


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from edgebuild.bundle import history
for number in range(50):
    history.append(Path(sys.argv[1]), [history.Entry("", sys.argv[2], str(number), "x" * 9000, "pass", (), {})])
"""


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", WRITER, str(tmp_path), str(k)] for k in range(4)]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait(timeout=120) == 0
    lines = [json.loads(line) for line in (tmp_path / history.FILE).read_text().splitlines()]
    expected = {(str(writer), str(number)) for writer in range(4) for number in range(50)}
    assert {(line["command"], line["target"]) for line in lines} == expected
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


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: apt-get install git")
def test_a_commit_is_told_with_whether_files_changed_since(tmp_path: Path) -> None:
    assert commit.at(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit.at(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit.at(tmp_path) == commit.Commit(head, False)
    (tmp_path / "untracked").write_text("1")
    assert commit.at(tmp_path) == commit.Commit(head, False)
    (tmp_path / "a").write_text("2")
    assert commit.at(tmp_path) == commit.Commit(head, True)
