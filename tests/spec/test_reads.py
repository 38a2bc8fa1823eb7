"""Files outside a model's folder: a digest of their content, believed for as long as nothing says they changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgebuild.spec.reads import Memo, Read


def read(memo: Memo, folder: Path, name: str) -> Read:
    found = memo.read(folder, name)
    assert found is not None
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two files, written a while ago, below a folder beside the model's."""
    for name in ("a.bin", "deep/b.bin"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["../data", "../data/a.bin", "../data/**/*.bin"])
def test_a_digest_is_that_of_names_and_contents(data: Path, name: str) -> None:
    model = data.parent / "model"
    before = read(Memo(), model, name)
    os.utime(data / "a.bin", (1, 1))
    assert read(Memo(), model, name).digest == before.digest
    (data / "a.bin").write_text("A.bin")
    assert read(Memo(), model, name).digest != before.digest


def test_the_same_files_elsewhere_have_the_same_digest(data: Path) -> None:
    moved = data.parent / "other" / "data"
    moved.parent.mkdir()
    first = read(Memo(), data.parent / "model", "../data")
    data.rename(moved)
    assert read(Memo(), moved.parent / "model", "../data").digest == first.digest
    assert read(Memo(), Path("/"), str(moved)).digest == first.digest


def test_what_is_not_there_is_none(data: Path) -> None:
    assert Memo().read(data, "c.bin") is None
    assert Memo().read(data, "*.txt") is None


def test_a_file_that_did_not_change_is_not_read_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 3600  # as if it had been written an hour ago
    monkeypatch.setattr("edgebuild.spec.reads.time.time", lambda: later)
    memo = Memo()
    first = read(memo, data, "a.bin")
    assert memo.grown
    monkeypatch.setattr("edgebuild.spec.sha256.hashlib.file_digest", lambda *_: pytest.fail("it was read"))
    assert read(Memo(memo.known), data, "a.bin") == first


def test_a_file_that_was_just_written_is_not_remembered(data: Path) -> None:
    memo = Memo()
    read(memo, data, "a.bin")
    assert memo.known == {}


def test_a_change_is_seen_though_size_and_time_stay(data: Path) -> None:
    before, old = read(Memo(), data, "a.bin"), (data / "a.bin").stat()
    assert before.unchanged()
    (data / "a.bin").write_text("b.bin")
    os.utime(data / "a.bin", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert not before.unchanged()
