"""Runs one step in a child process with its own group, memory limit and log; heavy imports are paid once a build.

The child is forked from a server that has imported the heavy packages. It writes into a scratch folder and says how
it ended in a small file; a child that dies without a word is a crash, and the parent lives on.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgebuild.spec.artifact import Input, Step, StepIO
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError, from_json

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step may use: bytes of data memory, seconds of wall time, compute threads."""

    memory: int = 8 * 2**30
    seconds: float = 3600.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """A step to run: where its inputs are, and the folder with `output/`, `scratch/` and its log."""

    label: str
    step: Step
    inputs: Mapping[str, Input]
    folder: Path
    provenance: tuple[Mapping[str, Any], ...] = ()


class Worker:
    """A running step; poll `progress`, wait on `sentinel`, then ask for the `outcome`."""

    def __init__(self, task: Task, limits: Limits) -> None:
        """Start the step's process."""
        self.task, self.limits, self.started = task, limits, time.monotonic()
        for name in ("output", "scratch"):
            (task.folder / name).mkdir()
        receive, send = multiprocessing.Pipe(duplex=False)
        self._progress = receive
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=_child, args=(task, limits, send), name=task.label)
        self._process.start()
        send.close()

    @property
    def sentinel(self) -> int:
        """Ready when the process has ended (for `multiprocessing.connection.wait`)."""
        return self._process.sentinel

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self.started

    def progress(self) -> tuple[float, str] | None:
        """The newest word of the step about itself: share done and a note; None when there is no news."""
        news = None
        try:
            while self._progress.poll():
                news = self._progress.recv()
        except (EOFError, OSError):
            pass
        return news

    @property
    def late(self) -> bool:
        """Whether the step has used up its time."""
        return self.seconds > self.limits.seconds

    def kill(self) -> None:
        """End the step and all that it started."""
        if self._process.pid and self._process.is_alive():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
        self._process.join(5)

    def outcome(self) -> EdgebuildError | None:
        """None when the step ended well, else the error to show, which names the step and the cause."""
        self._process.join()
        self._progress.close()
        _end_group(self._process.pid)
        said = _read(self.task.folder / "outcome.json")
        if said is not None:
            return from_json(said["error"]) if said["error"] else None
        return StepError(f"step {self.task.label} {_cause(self._process.exitcode, self.limits)}")

    def too_late(self) -> StepError:
        """The error for a step that was stopped because its time was up."""
        return StepError(f"step {self.task.label} was stopped: still running after {self.limits.seconds:.0f} s")


def preload(modules: Iterable[str]) -> None:
    """Name the modules that the fork server imports before its first child; missing ones are passed over."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([*modules, __name__])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return said


def _end_group(pid: int | None) -> None:
    """A step that ended may have left children of its own; none of them outlives it."""
    try:
        os.killpg(pid or 0, signal.SIGKILL) if pid else None
    except (ProcessLookupError, PermissionError):
        pass


def _cause(exitcode: int | None, limits: Limits) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = f"; perhaps out of memory, its limit is {limits.memory / 2**30:.3g} GiB" if -exitcode == 9 else ""
        return f"crashed: its process was ended by {name}{hint}"
    return f"crashed: its process ended with code {exitcode} and said nothing"


def _child(task: Task, limits: Limits, progress: Connection) -> None:
    """What the child process does."""
    _confine(limits)
    with (task.folder / "log.txt").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    error = _run(task, limits, progress)
    sys.stdout.flush()
    sys.stderr.flush()
    part = task.folder / "outcome.part"
    part.write_text(json.dumps({"error": error}))
    part.rename(task.folder / "outcome.json")
    progress.close()


def _confine(limits: Limits) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(limits.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(limits.threads)


def _run(task: Task, limits: Limits, progress: Connection) -> dict[str, Any] | None:
    def report(done: float, note: str) -> None:
        try:
            progress.send((done, note))
        except OSError:
            pass

    folder = task.folder
    io = StepIO(task.inputs, folder / "output", folder / "scratch", report, task.provenance)
    try:
        task.step.run(io)
    except EdgebuildError as error:
        return error.to_json()
    except MemoryError:
        limit = f"{limits.memory / 2**30:.3g} GiB"
        return StepError(f"step {task.label} ran out of memory (its limit is {limit})").to_json()
    except OSError as error:
        traceback.print_exc()
        return _disk(error, task.label)
    except BaseException as error:  # a step may raise anything: user code runs in some
        traceback.print_exc()
        return StepError(f"step {task.label} failed: {type(error).__name__}: {error}").to_json()
    return None


def _disk(error: OSError, label: str) -> dict[str, Any]:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return UsageError(f"step {label} cannot write: {error.strerror}", file=error.filename).to_json()
    return StepError(f"step {label} failed: {type(error).__name__}: {error}").to_json()
