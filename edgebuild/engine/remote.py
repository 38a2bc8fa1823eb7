"""Takes a result from a cache and puts one there: what comes is hashed as it comes, and believed only when whole."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgebuild.engine import entry as entries
from edgebuild.engine.entry import Blob, Entry
from edgebuild.spec.cache import Cache, Pieces

_ENTRY_BYTES = 1 << 20  # what time for an entry is reckoned by


class Damaged(Exception):
    """An entry that is not believed, in a few words why; `digest` is that of the file which is wrong, if one is."""

    def __init__(self, reason: str, digest: str | None = None) -> None:
        """`reason` goes to the user."""
        super().__init__(reason)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cache may take: so many seconds, and one more for so many bytes."""

    seconds: float = 15.0
    rate: float = 256 * 1024.0

    def until(self, size: int) -> float:
        """When so many bytes must have come (s, monotonic clock)."""
        return time.monotonic() + self.seconds + size / self.rate


@dataclass(frozen=True, slots=True)
class Remote:
    """A cache, by what its entries are signed, and how long it may take. `going(until)` is called ahead of every piece
    with the time when all must be there; it raises CacheError where nobody waits any more.
    """

    cache: Cache
    secret: str | None
    patience: Patience
    going: Callable[[float], None]

    def fetch(self, name: str, folder: Path) -> Entry | None:
        """The entry at `name`, whose files are in `folder` then; None where there is none.

        Damaged for one that is not believed, CacheError where the cache is no use.
        """
        entry = self.look(name)
        if entry is None:
            return None
        size = sum(blob.size for blob in entry.files.values())
        if size > shutil.disk_usage(folder).free:
            raise Damaged(f"the entry is larger than the disk has room for: {size} bytes")
        until = self.patience.until(size)
        for path, blob in entry.files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            self._blob(blob, place, until)
        return entry

    def look(self, name: str) -> Entry | None:
        """The entry at `name`, of whose files nothing is known; None where there is none. Errors as of `fetch`."""
        data = self._gathered(name, self.patience.until(_ENTRY_BYTES))
        if data is None:
            return None
        try:
            return entries.parse(data, name, self.secret)
        except ValueError as error:
            raise Damaged(f"the entry {error}") from None

    def _gathered(self, name: str, until: float) -> bytes | None:
        self.going(until)
        pieces, data = self.cache.read(name), bytearray()
        if pieces is None:
            return None
        for piece in self._in_time(pieces, until):
            data += piece
            if len(data) > entries.MOST_BYTES:
                raise Damaged("the entry is too large")
        return bytes(data)

    def _blob(self, blob: Blob, place: Path, until: float) -> None:
        """Write a file that has this size and digest; an empty one is never asked for."""
        if blob.size == 0 and blob.digest == hashlib.sha256().hexdigest():
            place.touch()
            return
        self.going(until)
        pieces = self.cache.read(blob.name)
        if pieces is None:
            raise Damaged("a file of the entry is missing", blob.digest)
        hashed, size = hashlib.sha256(), 0
        with place.open("wb") as file:
            for piece in self._in_time(pieces, until):
                size += len(piece)
                if size > blob.size:
                    raise Damaged("a file of the entry has other bytes", blob.digest)
                hashed.update(piece)
                file.write(piece)
        if size < blob.size:
            raise Damaged("a file of the entry was cut short", blob.digest)
        if hashed.hexdigest() != blob.digest:
            raise Damaged("a file of the entry has other bytes", blob.digest)

    def _in_time(self, pieces: Pieces, until: float) -> Pieces:
        with closing(pieces):
            for piece in pieces:
                self.going(until)
                yield piece

    def send(self, entry: Entry, folder: Path, damaged: set[str]) -> None:
        """Put the files that the cache has not, or has `damaged`, and when all are there the entry; CacheError."""
        for path, blob in entry.files.items():
            self.going(self.patience.until(blob.size))
            if blob.size and (blob.digest in damaged or self.cache.size(blob.name) != blob.size):
                self.going(self.patience.until(blob.size))
                self.cache.write(blob.name, folder / path)
        self.going(self.patience.until(_ENTRY_BYTES))
        self.cache.write(entry.name, entry.to_bytes(self.secret))
