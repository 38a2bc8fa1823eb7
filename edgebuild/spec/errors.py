"""Errors for the person who must mend them: one line with file, key, reason and what to do, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


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

    @property
    def line(self) -> str:
        """The whole message in one line: `file: key: reason (hint)`."""
        where = [part for part in (self.file, self.key or self.option) if part]
        tail = f" ({self.hint})" if self.hint else ""
        return " ".join((": ".join([*where, self.reason]) + tail).split())

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
