"""Calls a function in a process of its own, which somebody's code or a runtime on somebody's file may end: that is an
error here, and no end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar, cast

from edgebuild.engine import worker
from edgebuild.spec.errors import EdgebuildError, StepError, starved

T = TypeVar("T")


def call(function: Callable[[], T], file: str) -> T:
    """What `function` gives, or the EdgebuildError that it raises; both are pickled, and so is `function`.

    StepError, which names `file`, where its process ends without a word, or with another exception.
    """
    line, theirs = multiprocessing.Pipe(duplex=False)
    with line:
        process = worker.started(_answer, (function, file, theirs))
        theirs.close()
        try:
            given, error = line.recv()
        except EOFError:  # it is gone, and so is its end of the pipe
            process.join()
            reason = f"crashed what looks at it: the process {worker.cause(process.exitcode)}"
            raise StepError(reason, file=file) from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
            process.kill()  # where it has no group yet
            process.join()
    if error is not None:
        raise error
    return cast(T, given)


def _answer(function: Callable[[], Any], file: str, line: Connection) -> NoReturn:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for it is told, and ends it
    given, error = None, None
    try:
        given = function()
    except EdgebuildError as told:
        error = told
    except BaseException as unforeseen:
        what = "ran out of memory" if starved(unforeseen) else f"failed: {type(unforeseen).__name__}: {unforeseen}"
        error = StepError(f"looking at it {what}", file=file)
    line.send((given, error))
    os._exit(0)
