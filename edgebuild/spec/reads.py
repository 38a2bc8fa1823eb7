"""Files outside a model's folder that its code reads: they stay where they are, and their digests count in a key.

A digest is believed for as long as size, times and inode of a file are those that it was taken with.
"""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebuild.spec import sha256
from edgebuild.spec.artifact import EXCUSED

# Two changes within a tick of the file system's clock look like one: a younger stamp is not remembered.
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Read:
    """What one line of `reads` names: `name` as written, the digest of its content, where it is, and its stamp then."""

    name: str
    digest: str
    place: str = field(default="", metadata=EXCUSED)
    stamp: str = field(default="", metadata=EXCUSED)

    def files(self) -> list[Path]:
        """The files that it names now, in order."""
        return _files(Path(self.place))

    def unchanged(self) -> bool:
        """Whether the files are still those that the digest was taken of."""
        return stamp(self.files()) == self.stamp

    def value(self) -> Path | list[Path]:
        """What the model's code is given: a file, a folder, or for a pattern the list of files."""
        place = Path(self.place)
        return place if place.exists() else self.files()


class Memo:
    """Digests of files by path and stamp: reading large ones anew would make an idle build a long one."""

    def __init__(self, known: dict[str, Any] | None = None) -> None:
        """Start with what an earlier build knew."""
        self.known: dict[str, Any] = dict(known or {})
        self.grown = False

    def read(self, folder: Path, name: str) -> Read | None:
        """What `name`, from `folder` or absolute, names; None when there is no such file."""
        place = Path(os.path.abspath(folder / name))
        files = _files(place)
        if not files:
            return None
        before = stamp(files)  # of a file that is changed while it is read, the build will find another one
        return Read(name, self._digest(files), str(place), before)

    def _digest(self, files: list[Path]) -> str:
        if len(files) == 1:
            return self.of_file(files[0])
        top = os.path.commonpath([file.parent for file in files])
        return _of_json({os.path.relpath(file, top): self.of_file(file) for file in files})

    def of_file(self, file: Path) -> str:
        """The digest of a file's content; OSError where it cannot be read."""
        now, known = _stat(file), self.known.get(str(file))
        if known is not None and known[0] == now:
            return str(known[1])
        digest = sha256.of_file(file)
        if time.time() - max(now[1], now[2]) / 1e9 > _SETTLED_SECONDS and _stat(file) == now:
            self.known[str(file)], self.grown = [now, digest], True
        return digest


def stamp(files: Iterable[Path]) -> str:
    """A digest of paths, sizes, times and inodes: another one when a file may have changed."""
    return _of_json([[str(file), *_stat(file)] for file in files])


def _stat(file: Path) -> list[int]:
    try:
        now = file.stat()
    except OSError:
        return []
    return [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino]


def _files(place: Path) -> list[Path]:
    """The file itself, all files of a folder, or those that fit a pattern."""
    if place.is_file():
        return [place]
    named = place.rglob("*") if place.is_dir() else map(Path, glob.glob(str(place), recursive=True))
    return sorted(path for path in named if path.is_file())


def _of_json(value: Any) -> str:
    return sha256.of_bytes(json.dumps(value, sort_keys=True).encode())
