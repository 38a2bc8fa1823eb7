"""What nobody foresaw, as an error for people: one line, an exit code, and a file with the traceback."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from contextlib import suppress

from edgebuild import __version__
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError, full, placeless, starved

READER_GONE = 128 + 13  # what a shell says of a program whose reader has left, as `edgebuild plan | head -1` does


def foreseen(error: Exception) -> EdgebuildError:
    """The error to show for any exception.

    A file that cannot be read or written is for the user to see to, and so is a full disk; memory that ran out and
    whatever else may happen is a failure of ours, with a log.
    """
    if isinstance(error, EdgebuildError):
        return error
    if starved(error):
        return StepError("ran out of memory", hint=_logged(error))
    if placeless(error):
        return UsageError("no folder for temporary files can be written", key="TMPDIR", hint="let it name one that can")
    if isinstance(error, OSError) and (error.filename is not None or full(error)):
        return UsageError(_lower(error.strerror or str(error)), file=_text(error.filename))
    message = f"unforeseen {type(error).__name__}: {error}" if str(error) else f"unforeseen {type(error).__name__}"
    return EdgebuildError(message, hint=_logged(error))


def leave_reader() -> int:
    """The exit code when nobody reads any more; nothing is written from here on, also when Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return READER_GONE


def _logged(error: Exception) -> str | None:
    """Write the traceback into a new file of the user's temporary folder, and say where it is."""
    head = f"edgebuild {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n"
    text = head + "".join(traceback.format_exception(error))
    with suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="edgebuild-", suffix=".log")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"log: {path}"
    return None


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def _text(name: object) -> str | None:
    if name is None:
        return None
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
