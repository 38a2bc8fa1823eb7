"""Calls a function in a process of its own, which somebody's code or a runtime on somebody's file may end, or keep:
either is an error here.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar, cast

from edgebuild.engine import child, worker
from edgebuild.engine.task import Limits
from edgebuild.spec import surroundings
from edgebuild.spec.errors import EdgebuildError, StepError, starved

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and with how much, something may run apart, and who is told (its name, and why) where it still runs
    after `silence` seconds.
    """

    limits: Limits = field(default_factory=Limits)
    waiting: Callable[[str, str], None] | None = None
    silence: float = 10.0


def call(function: Callable[[], T], file: str, patience: Patience | None = None) -> T:
    """What `function` gives, or the EdgebuildError that it raises; both are pickled, and so is `function`.

    StepError, which names `file`, where its process ends without a word, with another exception, or uses up what a step
    may (the limits of `patience`, or the usual ones).
    """
    patience = patience or Patience()
    limits = patience.limits
    line, theirs = multiprocessing.Pipe()
    with line:
        process = worker.started(_guarded, (function, file, limits, theirs))
        theirs.close()
        try:
            if not _answered(line, file, patience):
                reason = f"looking at it was stopped: still running after {limits.seconds:g} s"
                raise StepError(reason, file=file, hint="--step-time allows more")
            given, error = line.recv()
        except EOFError:  # it is gone, and so is its end of the pipe
            process.join()
            reason = f"crashed what looks at it: the process {worker.cause(process.exitcode, limits)}"
            raise StepError(reason, file=file) from None
        finally:
            line.close()  # which ends it, with whatever it has started
            worker.end(process)
    if error is not None:
        raise error
    return cast(T, given)


def _answered(line: Connection, file: str, patience: Patience) -> bool:
    """Whether an answer comes, or the end, while there is time; what is waited for is told once."""
    seconds, silence = patience.limits.seconds, patience.silence
    if patience.waiting is None or seconds <= silence:
        return line.poll(seconds)
    if line.poll(silence):
        return True
    patience.waiting(file, f"still being looked at after {silence:g} s; ended after {seconds:g} s (--step-time)")
    return line.poll(seconds - silence)


def _guarded(function: Callable[[], Any], file: str, limits: Limits, line: Connection) -> NoReturn:
    child.guard(partial(_answer, function, file, limits, line), line)


def _answer(function: Callable[[], Any], file: str, limits: Limits, line: Connection) -> NoReturn:
    given, error = None, None
    try:
        child.confine(limits, surroundings.cores())
        given = function()
    except EdgebuildError as told:
        error = told
    except BaseException as unforeseen:
        error = _shown(unforeseen, file, limits)
    line.send((given, error))
    os._exit(0)


def _shown(error: BaseException, file: str, limits: Limits) -> StepError:
    if starved(error):
        reason = f"looking at it ran out of memory (its limit is {limits.memory / 2**30:.3g} GiB)"
        return StepError(reason, file=file, hint="--step-memory allows more")
    return StepError(f"looking at it failed: {type(error).__name__}: {error}", file=file)
