"""The two processes of a running step, or look: one does the work, the other watches over it and leaves nobody behind.

Whatever a step starts, even in a session of its own, is gone before the watcher ends; so is the step when the build
that started it is gone. This rests on Linux: child subreaper and pidfd.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import io
import os
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.util import _run_finalizers  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, NoReturn

from edgebuild.engine.curves import Curves
from edgebuild.engine.task import Limits, Task
from edgebuild.spec import surroundings, waiting
from edgebuild.spec.artifact import Progress, StepIO, perform
from edgebuild.spec.errors import EdgebuildError, StepError, UsageError, full, placeless, starved

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_REPORT_SECONDS = 0.05
_LAST_WORDS_SECONDS = 1.0


def watch(task: Task, limits: Limits, line: Connection) -> NoReturn:
    """Run the step under `guard`; on `line` it tells the build how far it is and how it ended."""
    temporary = task.folder / "temporary"
    link = _short_name(temporary)
    guard(partial(_be_step, task, limits, line, temporary, link or temporary), line, partial(_forget, link))


def guard(work: Callable[[], NoReturn], line: Connection, last: Callable[[], None] = lambda: None) -> NoReturn:
    """Let a process of its own do the work, and end as it ended, once all that it started is gone; `last` comes then.

    Whoever closes the other end of `line`, or dies, stops it.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    watcher = os.getpid()
    worker = os.fork()
    if worker == 0:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != watcher:
            os._exit(1)
        os.setpgid(0, 0)  # what signals its group does not meet the watcher
        work()
    end = os.pidfd_open(worker)
    connection.wait([line, end])
    _stop(worker, end)
    _, status = os.waitpid(worker, 0)
    _end_offspring()
    last()
    _end_like(os.waitstatus_to_exitcode(status))


def _stop(worker: int, end: int) -> None:
    """End the process, a step's prints first where it is into its log; when it has ended, this changes nothing."""
    os.kill(worker, signal.SIGABRT)
    connection.wait([end], _LAST_WORDS_SECONDS)
    os.kill(worker, signal.SIGKILL)


def _end_offspring() -> None:
    """Kill this process's children until there are none: those of a child that dies become its own."""
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                for child in _children():
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(child, signal.SIGKILL)
                os.waitpid(-1, 0)


def _children() -> list[int]:
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = path.read_bytes().rpartition(b")")[2].split()[1]
            if int(parent) == os.getpid():
                children.append(int(path.parent.name))
    return children


def _end_like(exitcode: int) -> NoReturn:
    """End this process with this exit code, or by this signal when it is negative."""
    if exitcode < 0:
        with suppress(OSError):
            signal.signal(-exitcode, signal.SIG_DFL)
        os.kill(os.getpid(), -exitcode)
    os._exit(exitcode if exitcode >= 0 else 1)


def _short_name(folder: Path) -> Path | None:
    """A link to the folder, which may come later, in a folder of its own where the system has temporary files; None
    where it has no place for them.

    `multiprocessing` makes sockets among temporary files, whose whole names may have 107 characters (unix(7)).
    """
    with suppress(OSError):
        link = Path(tempfile.mkdtemp(prefix="edgebuild-")) / "t"
        link.symlink_to(folder)
        return link
    return None


def _forget(link: Path | None) -> None:
    if link is not None:
        shutil.rmtree(link.parent, ignore_errors=True)


def _be_step(task: Task, limits: Limits, line: Connection, temporary: Path, temporary_name: Path) -> NoReturn:
    """Run the step, say how it ended, and end without waiting for threads that it may have left.

    Temporary files lie in `temporary`, which is cleared away with the step, and are known by `temporary_name`.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary_name)
    error, refused = _run(task, limits, line, temporary)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    with suppress(OSError):
        line.send(("refused" if refused else "end", error.to_json() if error else None))
    with suppress(Exception):
        _run_finalizers(0)  # named semaphores (tqdm makes some) are given back, or their tracker complains
    os._exit(0)


def _run(task: Task, limits: Limits, line: Connection, temporary: Path) -> tuple[EdgebuildError | None, bool]:
    """The error that the step ended with, and whether it refused what it was given: it would again. What it prints goes
    to its log.
    """
    try:
        _redirect(task.folder / "log.txt")
        temporary.mkdir()
    except OSError as error:
        return disk_or_step(error, task.label), False
    curves = Curves(task.curves)
    try:
        confine(limits, surroundings.cores() if task.step.trains else limits.threads)
        output = task.folder / "output"
        report = _reporter(line, curves)
        scratch = task.folder / "scratch"
        io = StepIO(task.inputs, output, scratch, report, task.provenance, task.partial, task.cores, task.kept)
        with waiting.heard_by(lambda what: line.send(("waiting", what))):
            perform(task.step, io)
        _check(output, task.label)
    except BaseException as error:  # a step may raise anything: user code runs in some
        _explain(error)
        return _classified(error, task.label, limits), isinstance(error, UsageError)
    finally:
        curves.close()
    return None, False


def _classified(error: BaseException, label: str, limits: Limits) -> EdgebuildError:
    """The error that a user sees: as it was raised where it is meant for a user, else by what failed."""
    if isinstance(error, EdgebuildError):
        return error
    if starved(error):
        return StepError(f"step {label} ran out of memory (its limit is {limits.memory / 2**30:.3g} GiB)")
    if isinstance(error, OSError):
        return disk_or_step(error, label)
    if full(error):
        return UsageError(f"step {label} cannot write: {error}")
    return StepError(f"step {label} failed: {type(error).__name__}: {error}")


def _explain(error: BaseException) -> None:
    """Print the traceback with all causes, also those that the one line for the user leaves out.

    A log that cannot be written, or was closed, changes nothing about the error.
    """
    above: BaseException | None = error
    while above is not None:
        above.__suppress_context__, above = False, above.__cause__ or above.__context__
    with suppress(OSError, ValueError):
        traceback.print_exception(error)


def disk_or_step(error: OSError, label: str) -> EdgebuildError:
    """What an OSError in a step means: a disk that the user must see to, or a failure of the step."""
    if placeless(error):
        reason = f"step {label} cannot start: no folder for temporary files can be written"
        return UsageError(reason, key="TMPDIR", hint="let it name one that can")
    if full(error):
        return UsageError(f"step {label} cannot write: {error.strerror}", file=error.filename)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        reason = "the limit on open files is too low"
        return StepError(f"step {label} failed: {reason}", hint="ulimit -n 1024, or whatever the shell may raise it to")
    return StepError(f"step {label} failed: {type(error).__name__}: {error}")


def _redirect(log: Path) -> None:
    """Print into the log from now on; a crash leaves a traceback there, and so does a step that is stopped."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Line by line: a file would get what is printed when the step ends, after its traceback, or after a crash never.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    faulthandler.enable()


def confine(limits: Limits, threads: int) -> None:
    """Hold this process, and what it starts, to the limit on memory and to as many threads of kernels."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = limits.memory if most == resource.RLIM_INFINITY else min(limits.memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    os.environ.update(surroundings.threads(threads))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _reporter(line: Connection, curves: Curves) -> Progress:
    """The progress function of a step: it passes on plain values, and not more of them than anybody can read."""
    last = -_REPORT_SECONDS

    def report(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        nonlocal last
        if scalars:
            curves.add(scalars, step)
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS:
            last = now
            with suppress(OSError):
                line.send(("progress", (float(done), str(note))))

    return report


def _check(output: Path, label: str) -> None:
    """StepError for what an artifact cannot hold: links, which lead out of it, and special files."""
    for path in output.rglob("*"):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) and not (stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
            raise StepError(f"step {label} failed: its output {path.name!r} is a link or a device, not a file")


def _prctl(option: int, value: int) -> None:
    libc: Any = ctypes.CDLL(None)
    libc.prctl(option, value)
