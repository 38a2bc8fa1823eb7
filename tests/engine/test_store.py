"""What the store gives out is whole; what is damaged counts as never made."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebuild.engine import digests, files
from edgebuild.engine.store import Action, Store
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError
from tests.engine.processes import eventually
from tests.engine.test_files import Trace

CONTENT = {"model.bin": bytes(range(256)) * 2, "inner/labels.txt": b"zero\none\n", "inner/empty": b""}


def put(store: Store, content: dict[str, bytes] | None = None, kind: str = "toy") -> Artifact:
    folder = store.scratch("test")
    for name, data in (CONTENT if content is None else content).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return store.put(folder, kind)


def record(store: Store, artifact: Artifact, key: str = "k" * 64) -> Action:
    action = Action(key, "rpi4/digits/prune", {"option.ratio": "0.5", "option.name": '"é\\n"'}, artifact, 1.25)
    store.record(action)
    return action


@pytest.fixture
def again(store: Store) -> Iterator[Callable[[], Store]]:
    """Opens the store anew, as the next build does: this one trusts what it has checked already."""
    opened: list[Store] = []

    def reopen() -> Store:
        opened.append(Store(store.root))
        return opened[-1]

    yield reopen
    for one in opened:
        one.close()


class TestPut:
    def test_what_was_put_and_recorded_is_found(self, store: Store, again: Callable[[], Store]) -> None:
        action = record(store, put(store))
        found = again().find(action.key)
        assert found == action
        path = store.path(action.output)
        assert {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()} == CONTENT

    def test_the_files_are_read_only(self, store: Store) -> None:
        path = store.path(put(store))
        assert {stat.S_IMODE(p.stat().st_mode) for p in path.rglob("*") if p.is_file()} == {0o444}

    def test_the_same_bytes_twice_are_one_entry(self, store: Store, again: Callable[[], Store]) -> None:
        assert put(store) == put(store) == put(again())
        assert len(list((store.root / "cas").iterdir())) == 1

    def test_an_output_without_files_is_an_artifact_too(self, store: Store, again: Callable[[], Store]) -> None:
        empty = put(store, {})
        assert again().holds(empty)
        assert put(again(), {}) == empty

    def test_the_digest_is_that_of_the_content(self, store: Store) -> None:
        artifact = put(store)
        assert artifact.digest == digests.of_tree(store.path(artifact)) == store.path(artifact).name

    def test_all_is_on_the_disk_before_the_entry_is_seen(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        trace = Trace(monkeypatch)
        folder = store.scratch("test")
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("data")
        place = store.path(store.put(folder, "toy"))
        store.close()  # waits for what is flushed beside it
        moved = trace.index("rename", str(folder), str(place))
        before = {call[1] for call in trace.calls[:moved]}
        assert before == {str(folder), str(folder / "inner"), str(folder / "inner" / "file")}
        assert trace.calls[moved + 1 :] == [("fsync", str(place.parent))]

    def test_an_action_is_on_the_disk_before_it_is_seen(
        self, store: Store, again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = again()
        artifact = put(before)
        before.close()
        trace = Trace(monkeypatch)
        action = record(store, artifact)
        store.close()
        place = store.root / "actions" / f"{action.key}.json"
        (rename,) = [call for call in trace.calls if call[0] == "rename"]
        assert rename[2] == str(place)
        assert trace.calls == [("fsync", rename[1]), rename, ("fsync", str(place.parent))]

    def test_an_entry_is_never_seen_half_written(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """At every call that reaches the disk, what is in place is whole: a kill there would be harmless."""
        seen: list[int] = []
        fsync, rename = os.fsync, Path.rename

        def look() -> None:
            for path in (store.root / "cas").iterdir():
                assert digests.of_tree(path) == path.name
            for path in [*(store.root / "actions").iterdir(), *(store.root / "last").iterdir()]:
                assert store._read(path) is not None
            seen.append(1)

        def watched_fsync(handle: int) -> None:
            look()
            fsync(handle)

        def watched_rename(path: Path, target: Path) -> Path:
            look()
            moved = rename(path, target)
            look()
            return moved

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(Path, "rename", watched_rename)
        store.remember("label", record(store, put(store)))
        store.close()
        assert len(seen) > 10

    def test_nobody_waits_for_names_to_reach_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened, slow, flush = Store(tmp_path / "own"), threading.Event(), files.sync_folder
        monkeypatch.setattr(files, "sync_folder", lambda folder: slow.wait() and flush(folder))
        monkeypatch.setattr(files, "sync_tree", lambda folder: None)
        action = record(opened, put(opened))
        assert opened.find(action.key) == action
        slow.set()
        opened.close()


def positions(size: int, count: int = 25) -> list[int]:
    """Many positions in a file of this size, the first and the last among them."""
    return sorted({round(i * (size - 1) / (count - 1)) for i in range(count)})


FLIPS = positions(len(CONTENT["model.bin"]))


class TestDamage:
    """Each test damages one copy of the same store in many ways, one after the other."""

    @pytest.fixture
    def action(self, store: Store) -> Action:
        return record(store, put(store))

    @pytest.fixture
    def damage(self, store: Store, action: Action, again: Callable[[], Store]) -> Callable[[Callable[[], None]], None]:
        """Does damage, sees that the action is not found, repairs it as a build would, and sees that it is."""

        def check(harm: Callable[[], None]) -> None:
            harm()
            reader = again()
            assert reader.find(action.key) is None
            assert put(reader) == action.output
            reader.record(action)
            assert again().find(action.key) == action

        return check

    @pytest.mark.parametrize("bit", [0, 7])
    def test_a_flipped_bit_in_an_artifact(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None], bit: int
    ) -> None:
        file = store.path(action.output) / "model.bin"
        for position in FLIPS:
            damage(lambda position=position: write(file, flipped(file.read_bytes(), position, bit)))

    def test_a_truncated_file_in_an_artifact(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None]
    ) -> None:
        file = store.path(action.output) / "model.bin"
        for position in FLIPS:
            damage(lambda position=position: write(file, file.read_bytes()[:position]))

    def test_zeroed_blocks_in_an_artifact(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None]
    ) -> None:
        file = store.path(action.output) / "model.bin"
        for position in FLIPS[:-1]:
            damage(lambda position=position: write(file, zeroed(file.read_bytes(), position)))

    @pytest.mark.parametrize(
        "harm",
        [
            lambda path: (path / "inner" / "labels.txt").unlink(),
            lambda path: (path / "inner" / "empty").unlink(),
            lambda path: shutil.rmtree(path / "inner"),
            lambda path: [p.unlink() for p in path.rglob("*") if p.is_file()],
            shutil.rmtree,
            lambda path: (shutil.rmtree(path), path.mkdir()),
            lambda path: (shutil.rmtree(path), path.write_text("a file in its place")),
            lambda path: (shutil.rmtree(path), path.symlink_to("/no/such/folder")),
            lambda path: (path / "more").write_text("a file more"),
            lambda path: (path / "model.bin").rename(path / "model.tmp"),
            lambda path: ((path / "model.bin").unlink(), (path / "model.bin").mkdir()),
        ],
        ids=[
            "file", "empty-file", "folder", "files", "all", "emptied", "file-there", "link-there", "more", "renamed",
            "folder-there",
        ],
    )  # fmt: skip
    def test_files_of_an_artifact_that_are_missing_or_too_many(
        self,
        store: Store,
        action: Action,
        damage: Callable[[Callable[[], None]], None],
        harm: Callable[[Path], object],
    ) -> None:
        damage(lambda: harm(store.path(action.output)) and None)

    @pytest.mark.parametrize("bit", range(8))
    def test_a_flipped_bit_in_an_action(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None], bit: int
    ) -> None:
        file = store.root / "actions" / f"{action.key}.json"
        for position in positions(file.stat().st_size, 20):
            damage(lambda position=position: write(file, flipped(file.read_bytes(), position, bit)))

    def test_a_truncated_action(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None]
    ) -> None:
        file = store.root / "actions" / f"{action.key}.json"
        for position in positions(file.stat().st_size, 25):
            damage(lambda position=position: write(file, file.read_bytes()[:position]))

    def test_a_zeroed_action(self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None]) -> None:
        file = store.root / "actions" / f"{action.key}.json"
        for position in positions(file.stat().st_size, 25):
            damage(lambda position=position: write(file, zeroed(file.read_bytes(), position)))

    @pytest.mark.parametrize("text", ["", "null", "[]", "3", '"text"', "{}", '{"action": {}, "sha256": 1}', "[" * 9999])
    def test_an_action_that_is_something_else(
        self, store: Store, action: Action, damage: Callable[[Callable[[], None]], None], text: str
    ) -> None:
        damage(lambda: write(store.root / "actions" / f"{action.key}.json", text.encode()))

    def test_an_action_under_the_name_of_another(
        self, store: Store, action: Action, again: Callable[[], Store]
    ) -> None:
        folder = store.root / "actions"
        shutil.copy(folder / f"{action.key}.json", folder / f"{'z' * 64}.json")
        assert again().find("z" * 64) is None

    def test_what_was_last_used_is_not_told_from_a_damaged_note(
        self, store: Store, action: Action, again: Callable[[], Store]
    ) -> None:
        store.remember("label", action)
        assert again().last("label") == action
        (note,) = (store.root / "last").iterdir()
        write(note, flipped(note.read_bytes(), 40, 0))
        assert again().last("label") is None
        again().remember("label", action)
        assert again().last("label") == action


class TestMemo:
    def test_what_is_known_of_code_is_kept_for_the_next_build(self, store: Store, again: Callable[[], Store]) -> None:
        digests.of_code(("edgebuild.spec.errors",), store.code)
        store.close()
        assert again().code.known == store.code.known != {}

    def test_when_it_is_damaged_it_is_forgotten(self, store: Store, again: Callable[[], Store]) -> None:
        digests.of_code(("edgebuild.spec.errors",), store.code)
        store.close()
        file = store.root / "code.json"
        whole = file.read_bytes()
        for position in positions(len(whole)):
            write(file, flipped(whole, position, 1))
            assert again().code.known == {}
            write(file, whole[:position])
            assert again().code.known == {}


def write(file: Path, data: bytes) -> None:
    if file.exists():
        file.chmod(0o644)
    file.write_bytes(data)


def flipped(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


def zeroed(data: bytes, position: int, length: int = 16) -> bytes:
    return data[:position] + bytes(min(length, len(data) - position)) + data[position + length :]


HOLD = """
import sys, time
from pathlib import Path
from edgebuild.engine.store import Store
store = Store(Path(sys.argv[1]))
(store.scratch("half") / "file").write_text("half")
print(store._session, flush=True)
time.sleep(600)
"""


class TestScratch:
    @pytest.fixture
    def other(self, store: Store) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        """Another build on the same store, and its scratch folder."""
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(store.root)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            yield process, Path(process.stdout.readline().strip())
            process.kill()

    def test_what_a_killed_build_left_is_swept_by_the_next(
        self, other: tuple[subprocess.Popen[str], Path], again: Callable[[], Store]
    ) -> None:
        process, scratch = other
        assert list(scratch.iterdir())
        process.send_signal(signal.SIGKILL)
        process.wait()
        again()
        assert not scratch.exists()
        assert not scratch.with_suffix(".lock").exists()

    def test_what_a_living_build_has_is_left_alone(
        self, other: tuple[subprocess.Popen[str], Path], again: Callable[[], Store]
    ) -> None:
        _, scratch = other
        again()
        assert [path.read_text() for path in scratch.rglob("file")] == ["half"]
        assert scratch.with_suffix(".lock").exists()

    def test_a_folder_that_cannot_be_removed_yet_is_tried_again(
        self,
        other: tuple[subprocess.Popen[str], Path],
        again: Callable[[], Store],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A step of the killed build may still be writing for an instant."""
        process, scratch = other
        process.kill()
        process.wait()
        with monkeypatch.context() as patched:
            patched.setattr("edgebuild.engine.files.remove_tree", lambda _: None)
            again()
        assert scratch.exists()
        again()
        assert not scratch.exists()

    def test_a_lock_that_was_swept_before_it_was_held_is_made_again(
        self, store: Store, again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl

        flock, swept = fcntl.flock, []

        def sweep_first(handle: object, how: int) -> None:
            if how == fcntl.LOCK_EX and not swept:
                swept.append(True)
                Path(handle.name).unlink()  # type: ignore[attr-defined]
            flock(handle, how)  # type: ignore[arg-type]

        monkeypatch.setattr(fcntl, "flock", sweep_first)
        opened = again()
        assert opened._session.with_suffix(".lock").exists()
        assert opened._session.is_dir()

    def test_a_build_that_ends_leaves_no_scratch(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "new")
        put(store)
        put(store)
        store.scratch("a/b/c")
        store.close()
        assert not list((tmp_path / "new" / "tmp").iterdir())


class TestSnapshot:
    def test_a_later_edit_does_not_reach_it(self, store: Store, tmp_path: Path) -> None:
        source = tmp_path / "model.py"
        source.write_text("one")
        artifact = store.snapshot({"code/model.py": source}, "source")
        source.write_text("two")
        assert (store.path(artifact) / "code" / "model.py").read_text() == "one"
        assert store.snapshot({"code/model.py": source}, "source") != artifact

    def test_a_name_that_is_not_utf_8_is_refused(self, store: Store, tmp_path: Path) -> None:
        odd = tmp_path / os.fsdecode(b"caf\xe9.py")
        odd.touch()
        with pytest.raises(UsageError, match="has a name that is not UTF-8"):
            store.snapshot({odd.name: odd}, "code")

    def test_its_digest_is_that_of_the_copy_also_when_the_file_changes_meanwhile(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "model.py"
        source.write_text("one")
        copyfile = shutil.copyfile

        def edit_after(path: Path, place: Path) -> None:
            copyfile(path, place)
            source.write_text("two")

        monkeypatch.setattr(shutil, "copyfile", edit_after)
        artifact = store.snapshot({"model.py": source}, "source")
        assert (store.path(artifact) / "model.py").read_text() == "one"
        assert digests.of_tree(store.path(artifact)) == artifact.digest

    def test_a_link_is_followed_not_kept(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "real.py").write_text("one")
        (tmp_path / "link.py").symlink_to(tmp_path / "real.py")
        path = store.path(store.snapshot({"link.py": tmp_path / "link.py"}, "source")) / "link.py"
        assert not path.is_symlink()
        assert (tmp_path / "real.py").stat().st_mode & stat.S_IWUSR

    def test_what_is_here_is_not_copied_again(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "weights.bin"
        source.write_text("one")
        artifact = store.snapshot({"weights.bin": source}, "source")
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "copyfile", lambda *_: pytest.fail("it was copied"))
            assert store.snapshot({"weights.bin": source}, "source") == artifact
        source.write_text("two")
        assert store.snapshot({"weights.bin": source}, "source") != artifact

    def test_a_missing_file_is_named(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            store.snapshot({"a": tmp_path / "gone"}, "source")
        assert caught.value.line == f"{tmp_path / 'gone'}: no such file"

    def test_a_file_that_cannot_be_read_is_named(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            store.snapshot({"a": tmp_path}, "source")
        assert caught.value.line == f"{tmp_path}: cannot be read: Is a directory"


class TestTrouble:
    """A disk that is full or cannot be written gives one line that says what to do."""

    FULL = ("No space left on device (free some space)", errno.ENOSPC)

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
    @pytest.mark.parametrize("act", ["put", "record", "remember"])
    def test_at_every_sync(
        self, store: Store, again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch, number: int, act: str
    ) -> None:
        """Told by what is written next, or when the store is closed."""
        before = again()
        artifact = put(before, {"first": b"1"})
        before.close()
        action = Action("k" * 64, "label", {}, artifact, 0.0)
        acts: dict[str, Callable[[Store], object]] = {
            "put": put,
            "record": lambda opened: opened.record(action),
            "remember": lambda opened: opened.remember("label", action),
        }
        fsync, good, left = os.fsync, 0, 0

        def limited(handle: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(number, os.strerror(number))
            fsync(handle)

        def acted() -> None:
            opened = Store(store.root)
            acts[act](opened)
            opened.close()

        while error := _error(acted, monkeypatch, limited):
            assert error.line.startswith(f"{store.root}: cannot be written: {os.strerror(number)} (")
            assert all(digests.of_tree(path) == path.name for path in (store.root / "cas").iterdir())
            assert all(store._read(path) for path in (store.root / "actions").iterdir())
            shutil.rmtree(store.path(Artifact("toy", DIGEST)), ignore_errors=True)
            for path in (store.root / "last").iterdir():
                path.unlink()
            left = good = good + 1
        assert good >= 2

    def test_a_disk_that_is_really_full(self, small_disk: Path, tmp_path: Path) -> None:
        store = Store(small_disk / "store")
        action = record(store, put(store))
        (tmp_path / "large").write_bytes(bytes(2**20))
        with pytest.raises(UsageError) as caught:
            store.snapshot({"large": tmp_path / "large"}, "source")
        assert caught.value.line == f"{store.root}: cannot be written: No space left on device (free some space)"
        (small_disk / "store" / "tmp" / store._session.name).rename(small_disk / "filler")
        store._session.mkdir()
        with pytest.raises(UsageError, match="No space left on device"):
            _record_for_ever(store, action.output)
        store.close()
        assert not list((store.root / "tmp").iterdir())
        assert [file.name for file in (store.root / "actions").iterdir() if store._read(file) is None] == []
        reader = Store(store.root)
        assert reader.find(action.key) == action
        reader.close()

    def test_a_store_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("not a folder")
        with pytest.raises(UsageError, match="cannot be written") as caught:
            Store(tmp_path / "store")
        assert "\n" not in caught.value.line
        assert caught.value.exit_code == 2

    def test_a_store_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(UsageError) as caught:
            Store(tmp_path / "store")
        hint = "make it writable, or name another place"
        assert caught.value.line == f"{tmp_path / 'store'}: cannot be written: Permission denied ({hint})"

    def test_a_store_that_cannot_be_written_when_scratch_is_wanted(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.rmtree(store._session)
        store._session.write_text("a file in its place")
        with pytest.raises(UsageError, match="cannot be written: Not a directory"):
            store.scratch("step")

    def test_an_output_that_cannot_be_read(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: Path) -> str:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(digests, "of_tree", refuse)
        with pytest.raises(UsageError, match="Input/output error"):
            put(store)

    def test_an_artifact_that_cannot_be_read_counts_as_never_made(
        self, store: Store, again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        action = record(store, put(store))

        def refuse(_: Path) -> str:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        reader = again()
        with monkeypatch.context() as patched:
            patched.setattr(digests, "of_tree", refuse)
            assert reader.find(action.key) is None
        assert put(reader) == action.output


def _error(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch, fsync: object) -> UsageError | None:
    """What `act` ends with when this is how files are synced."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        try:
            act()
        except UsageError as error:
            return error
    return None


def _record_for_ever(store: Store, artifact: Artifact) -> None:
    while True:
        record(store, artifact, os.urandom(32).hex())


DIGEST = digests.of_json({name: digests.of_bytes(data) for name, data in CONTENT.items()})


class TestLocks:
    def test_one_build_at_a_time_holds_a_key(self, store: Store, again: Callable[[], Store]) -> None:
        from filelock import Timeout

        held = store.claim("k" * 64)
        held.acquire(blocking=False)
        with pytest.raises(Timeout):
            again().claim("k" * 64).acquire(blocking=False)
        held.release()
        free = again().claim("k" * 64)
        free.acquire(blocking=False)
        free.release()

    def test_a_killed_build_holds_nothing(self, store: Store) -> None:
        code = (
            "import sys, time; from pathlib import Path; from edgebuild.engine.store import Store\n"
            "lock = Store(Path(sys.argv[1])).claim('key'); lock.acquire(); print('held', flush=True); time.sleep(600)"
        )
        command = [sys.executable, "-c", code, str(store.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout
            assert other.stdout.readline() == "held\n"
            other.kill()
        lock = store.claim("key")
        assert eventually(lambda: lock.acquire(blocking=False).lock.is_locked)
        lock.release()
