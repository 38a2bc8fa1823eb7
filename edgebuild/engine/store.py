"""The content-addressed store: `cas/<digest>/` holds artifacts, `actions/<key>.json` says which key made which.

Every entry is written aside, synced and renamed into place; a reader never sees half of one. The names are flushed
beside the build. What is read is checked against its digest, and an entry that does not match is dropped and counts as
never made.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.engine import digests, files, owned
from edgebuild.engine.durations import Durations
from edgebuild.spec import reads, sha256
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import EdgebuildError, UsageError, from_json
from edgebuild.spec.names import spelled

if TYPE_CHECKING:
    from filelock import FileLock

_LOG_TAIL = 64 * 1024
_DAY = 24 * 3600.0
_STALE = {"partial": 7 * _DAY, "kept": 90 * _DAY}  # seconds after which nobody is expected to come back for it
_REFUSED = "refused-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Action:
    """What the store knows of a step that ran: the named parts of its key, its output, how long it took (s), and the
    cache that it came from, "" where it ran here.
    """

    key: str
    label: str
    parts: dict[str, str]
    output: Artifact
    seconds: float
    source: str = ""


class Store:
    """A store in one folder, shared safely by any number of builds on this machine."""

    def __init__(self, root: Path) -> None:
        """Open the store, making it when it is new; UsageError for a folder that is none or cannot be written."""
        self.root = root
        self._checked: set[str] = set()
        self._flushing = files.Flushing()
        self._in_use: int | None = None
        self.code = digests.CodeMemo(_unseal(root / "code.json"))
        self.reads = reads.Memo(_unseal(root / "reads.json"))
        self.durations = Durations(_unseal(root / "durations.json"))
        try:
            owned.adopt(root)
            self._in_use = owned.hold(root)
            for name in owned.FOLDERS:
                (root / name).mkdir(exist_ok=True)
            self._session = root / "tmp" / f"{os.getpid()}-{os.urandom(4).hex()}"
            self._guard = self._hold()
        except OSError as error:
            raise disk_error(error, root) from None

    def close(self) -> None:
        """Drop this session's scratch space; what was put into the store stays, and is on the disk: UsageError where it
        could not be brought there.
        """
        try:
            self._flushing.close()
        except OSError as error:
            raise disk_error(error, self.root) from None
        finally:
            self._leave()

    def _leave(self) -> None:
        memos: tuple[digests.CodeMemo | reads.Memo | Durations, ...] = (self.code, self.reads, self.durations)
        for name, memo in zip(("code.json", "reads.json", "durations.json"), memos, strict=True):
            if memo.grown:
                with suppress(OSError):  # only a memo: the next build can do without
                    files.write_file(self.root / name, _seal(memo.known), self._session)
        files.remove_tree(self._session)
        self._guard.close()
        self._session.with_suffix(".lock").unlink(missing_ok=True)
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None

    def _hold(self) -> Any:
        """Make this session's scratch folder, marked as alive by a lock that dies with the process."""
        path = self._session.with_suffix(".lock")
        guard = path.open("w")
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not path.exists():  # another session swept it before it was locked
            guard.close()
            return self._hold()
        self._session.mkdir()
        self._sweep()
        self._forget_stale()
        return guard

    def _sweep(self) -> None:
        """Remove the scratch folders of builds that were killed: those whose lock nobody holds."""
        for lock in (self.root / "tmp").glob("*.lock"):
            if lock.stem == self._session.name:
                continue
            with suppress(OSError), lock.open("r+") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                files.remove_tree(lock.with_suffix(""))
                if not lock.with_suffix("").exists():  # else a step that is just being killed still writes there
                    lock.unlink(missing_ok=True)

    def _forget_stale(self) -> None:
        """Remove what steps kept for a next time that did not come."""
        for name, age in _STALE.items():
            for folder in (self.root / name).iterdir():
                with suppress(OSError):
                    if time.time() - folder.stat().st_mtime > age:
                        files.remove_tree(folder)

    def scratch(self, name: str) -> Path:
        """A new empty folder on the store's own disk, gone when the build ends or the next one starts."""
        folder = self._session / f"{name.replace('/', '-')}-{os.urandom(4).hex()}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, self.root) from None
        return folder

    def path(self, artifact: Artifact) -> Path:
        """Where the artifact's files are; they are read-only."""
        return self.root / "cas" / artifact.digest

    def holds(self, artifact: Artifact) -> bool:
        """Whether the artifact is here and whole; a damaged one is removed, so that it is made again."""
        if artifact.digest in self._checked:
            return True
        folder = self.path(artifact)
        if not os.path.lexists(folder):
            return False
        if not _matches(folder, artifact.digest):
            self._discard(folder)
            return False
        self._checked.add(artifact.digest)
        return True

    def _discard(self, folder: Path) -> None:
        grave = self._session / f"damaged-{os.urandom(4).hex()}"
        with suppress(OSError):
            folder.rename(grave)
        files.remove_tree(grave)

    def put(self, folder: Path, kind: str) -> Artifact:
        """Move the files of `folder` (inside this store's scratch space) into the store."""
        try:
            artifact = Artifact(kind, digests.of_tree(folder))
            if not self.holds(artifact):
                files.make_read_only(folder)
                files.sync_tree(folder)
                self._settle(folder, self.path(artifact))
        except OSError as error:
            raise disk_error(error, self.root) from None
        self._checked.add(artifact.digest)
        return artifact

    def _settle(self, folder: Path, place: Path) -> None:
        try:
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return  # another build put the same bytes there first
        self._flushing.later(place.parent)

    def snapshot(self, source: dict[str, Path], kind: str) -> Artifact:
        """A copy of these files (relative name → path) as an artifact: what a build reads cannot change under it.

        Files that are here already are not copied again: weights are large, and a plan is often made anew.
        """
        for path in source.values():
            spelled(path)
        known = self._known(source, kind)
        if known is not None and self.holds(known):
            return known
        folder = self.scratch("snapshot")
        for name, path in source.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, place)
            except FileNotFoundError:
                raise UsageError("no such file", file=str(path)) from None
            except OSError as error:
                if error.errno in _FULL:
                    raise disk_error(error, self.root) from None
                raise UsageError(f"cannot be read: {error.strerror or error}", file=str(path)) from None
        return self.put(folder, kind)

    def _known(self, source: dict[str, Path], kind: str) -> Artifact | None:
        """What a copy of these files would be; None where one of them cannot be read."""
        try:
            contents = {name: self.reads.of_file(path.absolute()) for name, path in source.items()}
        except OSError:
            return None  # who copies it says why
        return Artifact(kind, digests.of_contents(contents))

    def find(self, key: str) -> Action | None:
        """The action with this key, if its output is here and whole."""
        action = self._read(self.root / "actions" / f"{key}.json")
        return action if action and action.key == key and self.holds(action.output) else None

    def record(self, action: Action) -> None:
        """Remember what `action` made; its output must have been put before."""
        self._write(self.root / "actions" / f"{action.key}.json", action)
        if (kind := action.parts.get("step")) is not None:
            self.durations.note(kind, action.seconds)

    def last(self, label: str) -> Action | None:
        """The action that was last used under this label, whatever became of its output."""
        return self._read(self._last_path(label))

    def remember(self, label: str, action: Action) -> None:
        """Let `last(label)` answer `action` from now on."""
        if self.last(label) != action:
            self._write(self._last_path(label), action)

    def _last_path(self, label: str) -> Path:
        return self.root / "last" / f"{sha256.of_bytes(label.encode())}.json"

    def _write(self, path: Path, action: Action) -> None:
        body: dict[str, Any] = {
            "key": action.key,
            "label": action.label,
            "parts": action.parts,
            "seconds": action.seconds,
        }
        body |= {"source": action.source} if action.source else {}
        body["output"] = {"kind": action.output.kind, "digest": action.output.digest}
        try:
            files.write_file(path, _seal(body), self._session, self._flushing)
        except OSError as error:
            raise disk_error(error, self.root) from None

    def _read(self, path: Path) -> Action | None:
        """The action in the file; None when it is not there or damaged."""
        body = _unseal(path)
        try:
            output, source = Artifact(**body["output"]), body.get("source", "")
            return Action(body["key"], body["label"], body["parts"], output, body["seconds"], source)
        except (KeyError, TypeError):
            return None

    def curves(self, label: str) -> Path:
        """Where the curves of a step are kept: one folder a step, that of its last run."""
        return self.root / "curves" / label

    def keep_log(self, label: str, log: Path) -> Path | None:
        """Keep the end of a failed step's log where the next build does not sweep it; None when it says nothing."""
        place = self.root / "logs" / f"{label.replace('/', '-')}.log"
        with suppress(OSError):
            data = log.read_bytes()[-_LOG_TAIL:]
            if data:
                files.write_file(place, data, self._session)
                return place
        return None

    def partial(self, key: str) -> Path:
        """Where the step with this key may keep what it has done so far; the folder is made by whoever needs it."""
        return self.root / "partial" / key

    def kept(self, key: str) -> Path:
        """Where runs of a step that differ in their inputs alone keep what they share; made by whoever needs it."""
        return self.root / "kept" / key

    def refuse(self, key: str, error: EdgebuildError) -> None:
        """Remember why the step with this key takes nothing of what it is given."""
        place = self._refusal(key)
        with suppress(OSError):  # only to spare the next search or build the same
            place.parent.mkdir(exist_ok=True)
            files.write_file(place, _seal(error.to_json()), self._session)

    def refused(self, key: str) -> EdgebuildError | None:
        """What was remembered so."""
        content = _unseal(self._refusal(key))
        return from_json(content) if content else None

    def refuses(self) -> bool:
        """Whether any step has refused anything here."""
        return any(self.kept("").glob(f"{_REFUSED}*"))

    def _refusal(self, key: str) -> Path:
        return self.kept(f"{_REFUSED}{key}") / "error.json"

    def claim(self, key: str) -> FileLock:
        """The lock that lets one build at a time run the step with this key; `acquire(blocking=False)` asks for it."""
        from filelock import FileLock

        return FileLock(self.root / "locks" / key, mode=0o644)


def _matches(folder: Path, digest: str) -> bool:
    """Whether the folder's content has this digest; what cannot be read does not."""
    try:
        return folder.is_dir() and digests.of_tree(folder) == digest
    except (OSError, ValueError):
        return False


_SEAL = re.compile(rb'\{"body":(.*),"sha256":"([0-9a-f]{64})"\}', re.DOTALL)


def _seal(body: dict[str, Any]) -> bytes:
    """Plain data with its own digest, so that damage is seen."""
    text = digests.canonical(body).encode()
    return b'{"body":%b,"sha256":"%b"}' % (text, sha256.of_bytes(text).encode())


def _unseal(path: Path) -> dict[str, Any]:
    """What was sealed into a file; empty when it is not there or damaged."""
    try:
        stored = _SEAL.fullmatch(path.read_bytes())
        if stored is None or sha256.of_bytes(stored[1]) != stored[2].decode():
            return {}
        body: dict[str, Any] = json.loads(stored[1])
    except (OSError, ValueError, RecursionError):
        return {}
    return body


def disk_error(error: OSError, path: Path) -> UsageError:
    """One line for a folder that cannot be written or is full, with what to do."""
    full = error.errno in _FULL
    hint = "free some space" if full else "make it writable, or name another place"
    return UsageError(f"cannot be written: {error.strerror or error}", file=str(path), hint=hint)
