"""Tables: whole lines for programs and logs, fitted to a terminal, and no text taken for markup."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from edgebuild.report.catalogue import table

LABEL = "mobile-cpu/a-model-with-a-long-name/tflite/outputs-candidate"
REASON = (
    "gates[0]: the target declares no [hardware.core], [/] and what follows is still told in full, to the last word"
)
ROWS = [(LABEL, "would run", REASON), ("b", "up to date", "")]


def test_a_pipe_gets_one_whole_line_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table(("step", "now", "why"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        f"{'step':{len(LABEL)}}  now         why",
        f"{LABEL}  would run   {REASON}",
        f"{'b':{len(LABEL)}}  up to date",
    ]


def test_a_title_and_wide_letters_keep_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table(("a", "b"), [("模型", "x"), ("µs ± ×", "y")], title="two rows")
    title, head, first, second = capsys.readouterr().out.splitlines()
    assert title == "two rows"
    assert (head.index("b"), second.index("y"), first.index("x")) == (8, 8, 6)  # two letters of double width


def test_no_rows_are_only_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    table(("target", "state"), [])
    assert capsys.readouterr().out == "target  state\n"


def test_a_narrow_terminal_breaks_lines_and_leaves_nothing_out() -> None:
    code = f"from edgebuild.report.table import table\ntable(('step', 'now', 'why'), {ROWS!r}, title='[b]')\n"
    main, other = pty.openpty()
    environment = os.environ | {"COLUMNS": "60", "TERM": "xterm", "NO_COLOR": "1"}
    with os.fdopen(main, "rb", closefd=True) as screen:
        subprocess.run([sys.executable, "-c", code], stdout=other, env=environment, check=True, timeout=60)
        os.close(other)
        shown = _all(screen.fileno())
    assert "…" not in shown
    assert "[b]" in shown
    lines = [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= 60
    letters = "".join(shown.split())
    for word in ("would", "date", "word"):
        assert word in letters
    assert sorted(letters) == sorted("".join(f"[b]stepnowwhy{''.join(''.join(row) for row in ROWS)}".split()))


def _all(descriptor: int) -> str:
    """What was written to the terminal, until its other end is closed."""
    found = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            break
        if not part:
            break
        found += part
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found.decode())
