"""Which folders are stores: one is marked when it is made, so that nothing of the user's is taken for a part of it.

The mark is a cache directory's tag (https://bford.info/cachedir/), which tools for backups know. Builds hold a shared
lock on it, the one who empties the store an exclusive one.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from edgebuild.engine import files
from edgebuild.spec.errors import UsageError

FOLDERS = ("cas", "actions", "last", "tmp", "locks", "logs", "partial", "kept")  # made with the store
_LATER = ("curves", "code.json", "reads.json", "durations.json", "last-build.json")
_BESIDE = ("search",)  # of a project's own in the folder that its store has too; `clear` leaves it alone
_TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n"
_OURS = "# A store of edgebuild: `edgebuild cache clear` empties it.\n"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def adopt(root: Path) -> None:
    """Make `root` a store, or see that it is one; UsageError for a folder with other things, OSError as raised."""
    root.mkdir(parents=True, exist_ok=True)
    if is_marked(root):
        return
    if not is_store(root):
        message = "is no store of edgebuild, and not empty"
        raise UsageError(message, file=str(root), hint="let EDGEBUILD_STORE name a new folder")
    fresh = root / f"{_TAG}.{os.getpid()}.{os.urandom(4).hex()}"
    fresh.write_text(_SIGNATURE + _OURS)
    fresh.rename(root / _TAG)


def is_marked(root: Path) -> bool:
    """Whether the folder has the mark of a store."""
    try:
        return _OURS.encode() in (root / _TAG).read_bytes()[:4096]
    except OSError:
        return False


def is_store(root: Path) -> bool:
    """Whether the folder is a store or may become one: it is marked, empty, or has the layout of an unmarked one."""
    return root.is_dir() and (is_marked(root) or _is_empty(root) or _is_unmarked_store(root))


def hold(root: Path) -> int:
    """A handle that keeps the store from being emptied until it is closed, or the process ends."""
    handle = os.open(root / _TAG, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError:
        os.close(handle)
        raise
    return handle


def clear(root: Path) -> None:
    """Remove all that a store holds and nothing else; the mark stays.

    UsageError for a folder that is no store, and for a store that a build is using; OSError as raised.
    """
    if not os.path.lexists(root):
        return
    adopt(root)
    handle = os.open(root / _TAG, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in (*FOLDERS, *_LATER):
            _remove(root / name)
    except BlockingIOError:
        message = "is in use by a running build"
        raise UsageError(message, file=str(root), hint="wait until it has ended, or stop it") from None
    finally:
        os.close(handle)


def check_replaceable(folder: Path, mark: str) -> None:
    """UsageError unless `folder` is absent, empty, or has what matches `mark`: what an earlier run of ours has left."""
    if folder.is_dir() and any(folder.iterdir()) and not any(folder.glob(mark)):
        message = f"is in the way: it has no {mark.rpartition('/')[2]}, so edgebuild did not make it"
        raise UsageError(message, file=str(folder), hint="move it away, or name another place")
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError("is in the way: it is no folder", file=str(folder))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        files.remove_tree(path)
    else:
        path.unlink(missing_ok=True)
    if os.path.lexists(path):
        raise UsageError("cannot be removed", file=str(path), hint="is it writable?")


def _is_empty(root: Path) -> bool:
    """Whether there is nothing but a mark that another build is just writing, and what is no part of a store."""
    return all(name.startswith(_TAG + ".") or name in _BESIDE for name in os.listdir(root))


def _is_unmarked_store(root: Path) -> bool:
    """Whether this is a store of an edgebuild that made no mark: our names alone, and in them what we name."""
    names = {name for name in os.listdir(root) if not name.startswith(_TAG + ".")}
    if not {"cas", "actions"} <= names <= {*FOLDERS, *_LATER}:
        return False
    artifacts, actions = (os.listdir(root / name) for name in ("cas", "actions"))
    return all(_DIGEST.fullmatch(name) for name in artifacts) and all(
        _DIGEST.fullmatch(name.removesuffix(".json")) and name.endswith(".json") for name in actions
    )
