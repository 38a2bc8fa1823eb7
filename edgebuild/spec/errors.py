"""Errors for the person who must mend them: one line with file, key, reason and what to do, and an exit code."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Libraries in other languages have errors of their own, with the kernel's words in them.
_NO_ROOM = re.compile("|".join(map(os.strerror, _FULL)))
# What the runtimes' own allocators say where Python's would raise a MemoryError.
_STARVED = re.compile(r"bad_?alloc|(?i:can't allocate memory|cannot allocate memory|failed to allocate memory)")


class EdgebuildError(Exception):
    """The root of every error that a user may see; `exit_code` is what the command returns for it.

    What many steps share does not know whose work it does: it names an `option` alone, or nothing, and `owner` puts
    the name of the step before it on the way out.
    """

    exit_code: ClassVar[int] = 4

    def __init__(
        self,
        reason: str,
        *,
        file: str | None = None,
        key: str | None = None,
        option: str | None = None,
        hint: str | None = None,
    ):
        self.reason, self.file, self.key, self.hint = _readable(" ".join(str(reason).split())), file, key, hint
        self.option = option
        super().__init__(self.line)

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, also in another process: exceptions are otherwise made anew of their line alone."""
        return _again, (type(self), self.reason, self.file, self.key, self.option, self.hint)

    @property
    def line(self) -> str:
        """The whole message in one line: `file: key: reason (hint)`."""
        where = [part for part in (self.file, self.key or self.option) if part]
        tail = f" ({self.hint})" if self.hint else ""
        line = " ".join((": ".join([*where, self.reason]) + tail).split())
        return line.encode(errors="backslashreplace").decode()  # names of files need not be text

    def with_hint(self, more: str) -> Self:
        """The same error with one more thing to do or to look at."""
        hint = f"{self.hint}; {more}" if self.hint else more
        return type(self)(self.reason, file=self.file, key=self.key, option=self.option, hint=hint)

    def to_json(self) -> dict[str, str | None]:
        """The error as plain data, so that a worker process can hand it to its parent."""
        kind = type(self).__name__
        return {
            "kind": kind,
            "reason": self.reason,
            "file": self.file,
            "key": self.key or self.option,
            "hint": self.hint,
        }


def _again(
    kind: type[EdgebuildError], reason: str, file: str | None, key: str | None, option: str | None, hint: str | None
) -> EdgebuildError:
    return kind(reason, file=file, key=key, option=option, hint=hint)


def _readable(reason: str) -> str:
    """At most a few lines of a terminal: both ends of what a converter or a file had to say at length."""
    return reason if len(reason) <= 600 else f"{reason[:400]} … {reason[-190:]}"


class UsageError(EdgebuildError):
    """What the user wrote cannot be built: a wrong name, key, value, type, file or folder."""

    exit_code = 2


class StepError(EdgebuildError):
    """A step's worker crashed, ran out of memory or time, or raised what nobody foresaw."""

    exit_code = 4


class DeviceError(EdgebuildError):
    """A device cannot be reached or used, or died while it ran."""

    exit_code = 4


class IntegrityError(EdgebuildError):
    """Bytes are not what their digest says."""

    exit_code = 5


def starved(error: BaseException) -> bool:
    """Whether memory ran out, as Python, the kernel or a runtime's own allocator says it."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_STARVED.search(_words(error))))


def exhausted(error: BaseException) -> bool:
    """Whether the machine ran out of memory or disk: the code in which it happened is not to blame for that."""
    return starved(error) or full(error)


def full(error: BaseException) -> bool:
    """Whether a disk is full, or lets nobody write, as the kernel or a library that asked it says it."""
    return error.errno in _FULL if isinstance(error, OSError) else bool(_NO_ROOM.search(_words(error)))


def _words(error: BaseException) -> str:
    """What an exception says; nothing where it is somebody's own and cannot."""
    try:
        return str(error)
    except Exception:
        return ""


def placeless(error: BaseException) -> bool:
    """Whether Python found no folder for temporary files."""
    return isinstance(error, FileNotFoundError) and "usable temporary directory" in str(error)


@contextmanager
def owner(name: str, *, whole: bool = False) -> Iterator[None]:
    """Put `name` before the option of a UsageError that comes out, or in its place: `ratio` → `prune_weights.ratio`.

    Errors that name a file or a key say already whose they are. With `whole` nobody outside adds to the name.
    """
    try:
        yield
    except UsageError as error:
        if error.file is None and error.key is None:
            error.option = f"{name}.{error.option}" if error.option else name
            error.key = error.option if whole else None
            error.args = (error.line,)
        raise


_KINDS = {kind.__name__: kind for kind in (EdgebuildError, UsageError, StepError, DeviceError, IntegrityError)}


def from_json(data: dict[str, str | None]) -> EdgebuildError:
    """Rebuild an error from `EdgebuildError.to_json`; an unknown kind becomes a StepError."""
    kind = _KINDS.get(data.get("kind") or "", StepError)
    return kind(data.get("reason") or "no reason given", file=data["file"], key=data["key"], hint=data["hint"])
