"""Reads how a runner ended from its exit code and its job folder, the same for every transport."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from edgebuild.spec.errors import DeviceError
from edgebuild.travels import runner

RESULT, STDOUT, STDERR = "result.json", "runner.stdout", "runner.stderr"

_HINTS = {
    "SIGKILL": "killed from outside; perhaps the machine ran out of memory",
    "SIGILL": "an instruction that this processor does not have",
}


def clear(job: Path) -> None:
    """Remove earlier results, so that a crash is not taken for the success before it."""
    for old in [job / RESULT, *job.glob("*.outputs.npz"), *job.glob("*.part"), *job.glob("*.done")]:
        old.unlink(missing_ok=True)


def check(job: Path, code: int) -> None:
    """Raise DeviceError unless a runner that ended with `code` (−n: killed by signal n) left a result."""
    if code < 0:
        raise DeviceError(_crash(-code))
    error = _read(job / RESULT).get("error")
    if error is not None:
        raise DeviceError(f"{error['kind']}: {error['message']}")
    if code != 0 or not (job / RESULT).is_file():
        ending = f": {line}" if (line := _last_line(job / STDERR)) else ""
        raise DeviceError(f"the runner ended with code {code} and no result{ending}")


def exit_code(status: int) -> int:
    """Python's exit code for a shell's or a remote's, where 128 + n means killed by signal n."""
    return 128 - status if status > 128 else status


def read_result(job: Path) -> dict[str, Any]:
    """The runner's result; raises DeviceError where there is none that can be read."""
    result = _read(job / RESULT)
    if result.get("runner") != runner.VERSION:
        raise DeviceError(f"{job / RESULT} is not a result of runner {runner.VERSION}")
    return result


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _crash(number: int) -> str:
    """One line that names the signal."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = f" ({_HINTS[name]})" if name in _HINTS else ""
    return f"the runner crashed with {name}{hint}"


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
