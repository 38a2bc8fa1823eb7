"""What is renamed into place is whole and on the disk before anybody can see it."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from edgebuild.engine import digests, files


class Trace:
    """Notes every fsync and rename, by path, in the order in which they happen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, ...]] = []
        fsync, rename = os.fsync, Path.rename

        def noted_fsync(handle: int) -> None:
            self.calls.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
            fsync(handle)

        def noted_rename(path: Path, target: Path) -> Path:
            self.calls.append(("rename", str(path), str(target)))
            return rename(path, target)

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(Path, "rename", noted_rename)

    def index(self, *call: str) -> int:
        return self.calls.index(call)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    return Trace(monkeypatch)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    (tmp_path / "tree" / "inner" / "one.txt").write_text("1")
    (tmp_path / "tree" / "two.txt").write_text("2")
    return tmp_path / "tree"


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(tmp_path: Path, trace: Trace) -> None:
    scratch, place = tmp_path / "scratch", tmp_path / "place" / "file"
    scratch.mkdir()
    place.parent.mkdir()
    files.write_file(place, b"data", scratch)
    (rename,) = [call for call in trace.calls if call[0] == "rename"]
    assert trace.calls == [("fsync", rename[1]), rename, ("fsync", str(place.parent))]
    assert (rename[2], Path(rename[1]).parent) == (str(place), scratch)
    assert place.read_bytes() == b"data"
    assert not list(scratch.iterdir())


def test_a_tree_is_synced_from_the_leaves_up(tree: Path, trace: Trace) -> None:
    files.sync_tree(tree)
    synced = [call[1] for call in trace.calls]
    assert sorted(synced) == sorted(map(str, (tree, tree / "inner", tree / "inner" / "one.txt", tree / "two.txt")))
    assert synced.index(str(tree / "inner" / "one.txt")) < synced.index(str(tree / "inner")) < synced.index(str(tree))


def test_a_copy_is_writable_and_has_no_links(tree: Path, tmp_path: Path) -> None:
    files.make_read_only(tree)
    copy = tmp_path / "copy"
    files.copy_tree(tree, copy)
    assert digests.of_tree(copy) == digests.of_tree(tree)
    for path in copy.rglob("*.txt"):
        assert path.stat().st_mode & stat.S_IWUSR
        assert path.stat().st_nlink == 1


class TestPublish:
    def test_the_copy_is_on_the_disk_before_it_is_in_place(self, tree: Path, tmp_path: Path, trace: Trace) -> None:
        place = tmp_path / "dist" / "model"
        files.publish_tree(tree, place)
        renames = [call for call in trace.calls if call[0] == "rename"]
        assert len(renames) == 1
        moved = trace.calls.index(renames[0])
        synced = [Path(call[1]).name for call in trace.calls[:moved]]
        assert sorted(synced) == sorted(["one.txt", "two.txt", "inner", Path(renames[0][1]).name])
        assert trace.calls[moved + 1 :] == [("fsync", str(place.parent))]

    def test_the_old_folder_is_replaced_whole(self, tree: Path, tmp_path: Path) -> None:
        place = tmp_path / "dist" / "model"
        place.mkdir(parents=True)
        (place / "old.txt").write_text("old")
        files.publish_tree(tree, place)
        assert digests.listing(place) == digests.listing(tree)
        assert os.listdir(place.parent) == ["model"]

    def test_what_a_killed_build_left_is_taken_away(self, tree: Path, tmp_path: Path) -> None:
        place = tmp_path / "dist" / "model"
        for name in (".model.new", ".model.old"):
            (place.with_name(name) / "inner").mkdir(parents=True)
            (place.with_name(name) / "inner" / "half.txt").write_text("half")
        files.publish_tree(tree, place)
        assert digests.listing(place) == digests.listing(tree)
        assert os.listdir(place.parent) == ["model"]

    def test_a_failure_leaves_the_old_folder(self, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        place = tmp_path / "dist" / "model"
        place.mkdir(parents=True)
        (place / "old.txt").write_text("old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            files.publish_tree(tree, place)
        assert (place / "old.txt").read_text() == "old"
        assert os.listdir(place.parent) == ["model"]

    def test_several_builds_may_publish_to_one_place_at_once(self, tree: Path, tmp_path: Path) -> None:
        place = tmp_path / "dist" / "model"
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_publish_often, args=(tree, place)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert digests.listing(place) == digests.listing(tree)
        assert os.listdir(place.parent) == ["model"]


def _publish_often(source: Path, place: Path) -> None:
    for _ in range(40):
        files.publish_tree(source, place)
