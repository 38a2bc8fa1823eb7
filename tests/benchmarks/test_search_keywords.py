"""The benchmark of a search where no stock recipe passes: the project that it makes, and what it says without data."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search import keywords


def test_the_target_asks_for_the_limits_and_the_model_keeps_speakers_apart(tmp_path: Path) -> None:
    project = keywords._made(tmp_path)
    gates = {gate.metric: gate.limit for gate in project.target(keywords.TARGET).gates or ()}
    assert gates == keywords.LIMITS
    declared = project.model(keywords.MODEL).declared
    assert declared.data is not None
    assert declared.data["group"] == "speaker"


def test_without_the_files_it_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(keywords.FOLDER, raising=False)
    with pytest.raises(SystemExit) as ended:
        keywords.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{keywords.FOLDER} names no folder with test.npz (see the first lines of this file)"
    ]
