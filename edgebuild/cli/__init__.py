"""The command line: one file a verb; parses, calls one function, prints, returns the exit code."""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import rich_click as click
from click.exceptions import Abort, Exit

from edgebuild import __version__

_FIRST = ("build", "plan", "explain", "report", "verify")
# Objects: at Python's 700, collecting is 6 % of a build that has nothing to do, and at 50,000 still 3 %.
_BETWEEN_COLLECTIONS = 200_000
_INTERRUPTED = 128 + signal.SIGINT
_OWN_OPTIONS = ("--help", "-h", "--version")


class Verbs(click.RichGroup):
    """Loads a verb's file when it is needed; an option in the verb's place means `build`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, those of every day first."""
        names = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}
        return [*_FIRST, *sorted(names - {*_FIRST})]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb of this name."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`edgebuild --target rpi4` is `edgebuild build --target rpi4`."""
        if args and args[0].startswith("-") and args[0] not in _OWN_OPTIONS:
            args = ["build", *args]
        return super().parse_args(ctx, args)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="edgebuild")
def root() -> None:
    """Build models for the edge: compress, convert, judge on the target, bundle.

    `edgebuild --target rpi4` builds every model of the project for that target.
    Exit codes: 0 all gates pass, 1 a gate failed, 2 usage, 3 inconclusive,
    4 device, worker or what nobody foresaw, 5 integrity.
    """


def _open_streams() -> None:
    """Let what was closed (`>&-`) lead nowhere: the next file that is opened would stand in its place, and be printed
    into.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


@contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP be as a Ctrl-C, after which a build gives up its scratch space: whether one came.

    The second ends the process. Those that are ignored (nohup) are so still.
    """
    told: list[int] = []

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        told.append(number)
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    own = [one for one in (signal.SIGTERM, signal.SIGHUP) if here and signal.getsignal(one) is signal.SIG_DFL]
    for one in own:
        signal.signal(one, end)
    try:
        yield told
    finally:
        for one in own:
            signal.signal(one, signal.SIG_DFL)


def _write_any_text() -> None:
    """Let a terminal or pipe of a narrow encoding get escapes for what it lacks, instead of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    _open_streams()
    _write_any_text()
    gc.set_threshold(_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)  # Python collects everything once more as it ends: 13 % of a build with nothing to do
    with _told_to_end() as told:
        code = _answered(args, told)
    try:
        sys.stdout.flush()  # or a pipe gets it when Python ends, where nobody could answer for a reader that has left
    except BrokenPipeError:
        from edgebuild.cli._unforeseen import leave_reader

        return leave_reader()
    return code


def _answered(args: list[str] | None, told: list[int]) -> int:
    """The exit code of what the command line asks for; `told` is what told it to end, if anything did."""
    as_json = "--json" in (sys.argv[1:] if args is None else args)
    try:
        code: Any = root.main(args=args, prog_name="edgebuild", standalone_mode=False)
    except Abort:
        return _stopped(128 + told[0] if told else _INTERRUPTED, as_json)
    except click.ClickException as error:
        from edgebuild.cli._verb import failed
        from edgebuild.spec.errors import UsageError

        reason = " ".join(error.format_message().split())
        return failed(UsageError(reason), as_json)
    except Exit as stop:
        return stop.exit_code
    except (SystemExit, BrokenPipeError):  # click's answer when nobody reads what it prints
        from edgebuild.cli._unforeseen import leave_reader

        return leave_reader()
    except Exception as error:  # outside of any verb
        from edgebuild.cli._unforeseen import foreseen
        from edgebuild.cli._verb import failed

        return failed(foreseen(error), as_json)
    return code if isinstance(code, int) else 0


def _stopped(code: int, as_json: bool) -> int:
    """Say that the command was told to end, in JSON as well where that is asked for; `code`."""
    reason = "stopped; what was finished is kept"
    with suppress(OSError):  # of a terminal that is gone
        print(f"edgebuild: {reason}", file=sys.stderr)
        if as_json:
            error = {"kind": "Stopped", "reason": reason, "file": None, "key": None, "hint": None}
            print(json.dumps({"error": error, "exit_code": code}), flush=True)
    return code
