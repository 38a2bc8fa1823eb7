"""Runs helper programs (the compiler, LLVM's tools, pip) so that none outlives us and failures are one line."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgebuild.spec.errors import DeviceError

_LAUNCHER = Path(__file__).with_name("launch.py")
_NOISE = ("WARNING:", "[notice]")
_NETWORK = re.compile(
    "Could not (connect|resolve)|Failed to establish|Connection (refused|timed out)|Temporary failure resolving"
    "|Name or service not known|name resolution|Network is unreachable|Cannot connect to proxy|ConnectTimeout"
)
_LONGEST = 400  # characters of a message


def launched(cpu_s: int = 0) -> list[str]:
    """The beginning of a command line: what follows is killed when we die (0: CPU time is not limited)."""
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(cpu_s)]


def run(
    argv: Sequence[object],
    *,
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: float = 1800,
) -> str:
    """Run a program to its end and return its standard output.

    Args:
        argv: program and arguments, each a string or path; no shell is involved.
        what: what the program is for, the beginning of any error message.
        cwd: folder to run in.
        env: complete environment; None inherits this process's.
        stdin: text for its standard input.
        timeout_s: seconds of wall time before it is killed.

    Raises:
        DeviceError: the program is missing, too slow, or ended with a non-zero code.
    """
    require(str(argv[0]), what)
    command = [*launched(), *map(str, argv)]
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            env=env,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{what}: {Path(str(argv[0])).name} did not end within {timeout_s:.0f} s") from None
    if done.returncode:
        raise DeviceError(f"{what}: {cause(done.stderr or done.stdout, done.returncode)}")
    return done.stdout


def require(program: str, what: str) -> None:
    """Raise DeviceError unless `program` can be started."""
    if shutil.which(program) is None:
        raise DeviceError(f"{what}: the program {program} is not installed")


def cause(output: str, returncode: int) -> str:
    """The line of a program's output that says why it failed.

    A line about the network comes first (pip goes on to report versions it could not find), then the first line marked
    as an error, then the last line.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Err:", "ERROR:")) or "error:" in line]
    rest = [line for line in lines if not line.startswith(_NOISE)]
    network = [f"no network? {line}" for line in lines if _NETWORK.search(line)]
    return (network[:1] or errors[:1] or rest[-1:] or [f"exit code {returncode}"])[0][:_LONGEST]
