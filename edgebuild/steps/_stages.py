"""Runs a training in several processes: each does the same step up to its training, of which each does a part.

The step's own process is the first one and starts the others; they end with the training, and it alone writes the
output.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgebuild.nn.train import group
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import EdgebuildError, StepError, from_json, starved
from edgebuild.spec.stage import Stage

_FILE, _READY, _ERROR = "stage.pickle", "ready", "error.json"
_LOOK = 0.05  # seconds
_LAST_WORDS = 10.0
_NOT_ITS_OWN = 3  # exit code of a process that ended because another one was gone
_NO_REASON = (None, 0, _NOT_ITS_OWN)


class _GoneError(Exception):
    """Another process ended before its training began."""


class Trained(BaseException):
    """The training has ended in a process that is not the step's own: there is nothing else for it to do."""


@contextmanager
def together(io: StepIO, step: Step, count: int) -> Iterator[Stage]:
    """Which part of the training this process has. The first one starts all others, which are there when it goes on.

    StepError, or the error of the one that failed, where another process ends before the training does.
    """
    if io.stage is not None:
        (io.scratch / _READY).touch()
        yield io.stage
        raise Trained
    meeting = io.scratch / "meeting"
    others = [_start(io, step, Stage(number, count, meeting)) for number in range(1, count)]
    over, lost = threading.Event(), threading.Event()
    try:
        _all_ready(others)
        threading.Thread(target=_watch, args=(others, over, lost), daemon=True).start()
        yield Stage(0, count, meeting)
        if (error := _blamed(others)) is not None:
            raise error
    except Exception as error:
        if lost.is_set() or isinstance(error, _GoneError) or group.broken(error):
            raise _blamed(others) or StepError(f"another process of the training is gone: {str(error)[:200]}") from None
        raise
    finally:
        over.set()
        for child, _ in others:
            child.kill()
            child.wait()


Other = tuple["subprocess.Popen[bytes]", Path]


def _start(io: StepIO, step: Step, stage: Stage) -> Other:
    """Another process, which prints into the step's log and has its limits; its folder is in the step's scratch."""
    folder = io.scratch / f"stage{stage.index}"
    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    (folder / _FILE).write_bytes(pickle.dumps((step, dict(io.inputs), io.partial, stage)))
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = f"import sys; from {__name__} import main; sys.exit(main(sys.argv[1]))"
    command = [sys.executable, "-P", "-c", code, str(folder)]
    return subprocess.Popen(command, env=paths, stdin=subprocess.DEVNULL), folder


def _all_ready(others: Sequence[Other]) -> None:
    """Wait until all have come to their training; _GoneError for one that ended before."""
    while not all((folder / "scratch" / _READY).exists() for _, folder in others):
        if any(child.poll() is not None for child, _ in others):
            raise _GoneError("it ended before it began")
        time.sleep(_LOOK)


def _watch(others: Sequence[Other], over: threading.Event, lost: threading.Event) -> None:
    """Have this process go on when another one has failed: what it computes on may wait for that one."""
    while not over.wait(_LOOK):
        if any(child.poll() not in _NO_REASON for child, _ in others):
            lost.set()
            with suppress(Exception):  # of what is experimental, and helps only where there are GPUs
                group.abandon()
            return


def _blamed(others: Sequence[Other]) -> EdgebuildError | None:
    """Why another process failed, if one did: the first sign of that here may be a connection that broke."""
    until, codes = time.monotonic() + _LAST_WORDS, [child.poll() for child, _ in others]
    while time.monotonic() < until and None in codes and all(code in _NO_REASON for code in codes):
        time.sleep(_LOOK)
        codes = [child.poll() for child, _ in others]
    for number, (child, folder) in enumerate(others, 2):
        if (folder / _ERROR).is_file():
            return from_json(json.loads((folder / _ERROR).read_text()))
        if child.poll() not in _NO_REASON:
            ending = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
            return StepError(f"process {number} of the training ended with {ending}")
    return None


def main(place: str) -> int:
    """Do the step of which a folder tells, up to the end of its training; the exit code."""
    folder = Path(place)
    step, inputs, partial, stage = pickle.loads((folder / _FILE).read_bytes())  # noqa: S301 (`_start` wrote it just now)
    io = StepIO(inputs, folder / "output", folder / "scratch", partial=partial, stage=stage)
    try:
        step.run(io)
    except Trained:
        return 0
    except BaseException as error:
        traceback.print_exc()
        if group.broken(error):
            return _NOT_ITS_OWN
        (folder / _ERROR).write_text(json.dumps(_classified(error, stage).to_json()))
        return 1
    return 0


def _classified(error: BaseException, stage: Stage) -> EdgebuildError:
    if isinstance(error, EdgebuildError):
        return error
    whose = f"process {stage.index + 1} of {stage.count}"
    if starved(error):
        return StepError(f"{whose} of the training ran out of memory")
    return StepError(f"{whose} of the training failed: {type(error).__name__}: {error}")
