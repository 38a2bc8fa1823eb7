"""What is renamed into place is whole and on the disk before anybody can see it."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

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

    @pytest.mark.parametrize("exchange", [True, False])
    def test_killed_at_any_moment_there_is_a_whole_bundle(self, tree: Path, tmp_path: Path, exchange: bool) -> None:
        """Before every system call; where folders cannot be exchanged, as soon as anybody publishes again."""
        found = killed_everywhere(tree, tmp_path / "dist" / "model", exchange)
        new, old = sorted(os.listdir(tree)), ["old.txt"]
        assert len(found) > 15
        assert found[0] == {"left": old, "again": new}
        assert all(moment["again"] == new for moment in found)
        allowed = [old, new] if exchange else [old, new, None]
        assert all(moment["left"] in allowed for moment in found)
        assert found[-1]["left"] == new

    def test_the_old_folder_is_put_back_first(
        self, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a publication that was killed where folders cannot be exchanged; then the disk is full."""
        place = tmp_path / "dist" / "model"
        place.with_name(".model.old").mkdir(parents=True)
        (place.with_name(".model.old") / "old.txt").write_text("old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            files.publish_tree(tree, place)
        assert (place / "old.txt").read_text() == "old"

    def test_two_folders_are_exchanged_or_the_reason_is_said(self, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        assert files.exchange(tree, tmp_path / "other")
        assert sorted(os.listdir(tmp_path / "other")) == ["inner", "two.txt"]
        assert os.listdir(tree) == []
        with pytest.raises(FileNotFoundError):
            files.exchange(tree, tmp_path / "nowhere")


# Kills a publication before its nth system call, for every n: each in a child of its own, which ends itself in an audit
# hook of Python's. Only calls that Python makes are seen; no other thread runs and no other change anything.
_KILLER = """
import json, os, shutil, signal, sys
from pathlib import Path
from edgebuild.engine import files

source, place, exchange = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
if not exchange:
    files.exchange = lambda one, other: False


def publish(moment):
    left = [moment]
    def hook(event, arguments):
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "ctypes.dlsym", "os.chmod"):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    files.publish_tree(source, place)


found, killed = [], True
while killed:
    shutil.rmtree(place.parent, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "old.txt").write_text("old")
    child = os.fork()
    if child == 0:
        publish(len(found))
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = sorted(os.listdir(place)) if place.is_dir() else None
    files.publish_tree(source, place)
    found.append({"left": left, "again": sorted(os.listdir(place))})
print(json.dumps(found))
"""


def killed_everywhere(source: Path, place: Path, exchange: bool) -> list[dict[str, Any]]:
    """What is at `place` after each kill, and after publishing once more; the last one was not killed."""
    command = [sys.executable, "-c", _KILLER, str(source), str(place), str(exchange)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _publish_often(source: Path, place: Path) -> None:
    for _ in range(40):
        files.publish_tree(source, place)
