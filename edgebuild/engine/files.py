"""Durable, atomic file operations: what is renamed into place is whole, also after a power cut."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread


class Flushing:
    """Flushes folders to the disk beside what goes on: it takes milliseconds for each, and a name that is lost with a
    power cut is an entry that was never made. A thread begins with the first.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: SimpleQueue[Path | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._failed: OSError | None = None

    def later(self, folder: Path) -> None:
        """Flush the names in a folder soon; OSError where those of an earlier one could not be."""
        self._tell()
        self._waiting.put(folder)
        if self._thread is None:
            self._thread = Thread(target=self._go, name="flushing", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait until all is flushed; OSError where something could not be."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
        self._tell()

    def _tell(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _go(self) -> None:
        """Each folder once for all that waits: what follows each other fast is flushed together."""
        while (folder := self._waiting.get()) is not None:
            folders: dict[Path | None, None] = {folder: None}
            while not self._waiting.empty():
                folders[self._waiting.get()] = None
            for each in folders:
                if each is not None:
                    self._flush(each)
            if None in folders:
                return

    def _flush(self, folder: Path) -> None:
        try:
            sync_folder(folder)
        except FileNotFoundError:  # it is gone already, and nobody misses it
            pass
        except OSError as error:
            self._failed = self._failed or error


def write_file(path: Path, data: bytes, scratch: Path, flushing: Flushing | None = None) -> None:
    """Put `data` at `path` in one step: written and synced in `scratch` (same file system), then renamed; the name is
    flushed at once, or soon by who flushes.
    """
    temporary = scratch / f"{path.name}.{os.getpid()}.{id(data):x}"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    if flushing is None:
        sync_folder(path.parent)
    else:
        flushing.later(path.parent)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself, to the disk."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(root) / name)
        sync_folder(Path(root))


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename into it survives a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_read_only(folder: Path) -> None:
    """Mode 0444 for every file below: an artifact is never changed in place."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)


def remove_tree(folder: Path) -> None:
    """Remove a folder if it is there; another process may be removing it too."""
    shutil.rmtree(folder, ignore_errors=True)


def copy_tree(source: Path, destination: Path) -> None:
    """Copy a folder as plain writable files: never links, which runtimes refuse and edits would follow back."""
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def publish_tree(source: Path, destination: Path) -> None:
    """Replace `destination` by a copy of `source`: a reader sees the old folder or the new, whenever this is killed.

    Where the file system cannot exchange two folders in one step a reader may see none for an instant; if this is
    killed in that instant, the next call begins by putting the old folder back.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    fresh = destination.with_name(f".{destination.name}.new")
    stale = destination.with_name(f".{destination.name}.old")
    with _alone_in(destination.parent):
        if stale.exists() and not destination.exists():
            stale.rename(destination)
        try:
            remove_tree(fresh)  # of a build that was killed here
            remove_tree(stale)
            fresh.mkdir()
            copy_tree(source, fresh)
            sync_tree(fresh)
            if not destination.exists():
                fresh.rename(destination)
            elif not exchange(fresh, destination):
                _replace(fresh, destination, stale)
            sync_folder(destination.parent)
        finally:
            remove_tree(fresh)
            if destination.exists():
                remove_tree(stale)


def _replace(fresh: Path, destination: Path, stale: Path) -> None:
    """The same in two steps; where the second fails the first is undone."""
    destination.rename(stale)
    try:
        fresh.rename(destination)
    except OSError:
        stale.rename(destination)
        raise


_HERE, _EXCHANGE = -100, 2  # AT_FDCWD of fcntl.h, RENAME_EXCHANGE of linux/fs.h
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths swap what they name, in one step (renameat2); False where kernel, C library or file system cannot.

    OSError for what is wrong with the paths themselves.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library that has it not
        return False
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, which leaves no file behind; a file system without locks goes without."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
