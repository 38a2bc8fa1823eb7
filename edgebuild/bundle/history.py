"""The history of a project: one JSON line for every build with a new outcome and for every gate.

Several may append at once: a line is one write to the file's end, under the file's lock. Lines are never changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgebuild.bundle import commit
from edgebuild.spec.errors import UsageError

FILE = "history.jsonl"
_FIGURES = ("metric", "limit", "status", "estimate", "low", "high", "n", "fidelity")
_NEEDED = {"time", "command", "target", "model", "status", "verdicts", "fingerprint"}


@dataclass(frozen=True, slots=True)
class History:
    """The entries of a project, oldest first, and the numbers of the lines that cannot be read."""

    entries: tuple[dict[str, Any], ...]
    damaged: tuple[int, ...] = ()


def entry(
    root: Path,
    command: str,
    target: str,
    model: str,
    judged: Mapping[str, Any],
    digests: Mapping[str, str],
    fingerprint: Mapping[str, str],
) -> dict[str, Any]:
    """One line of the history, as plain data.

    `judged` has status, format, verdicts and evidence of the format that is shipped; `digests` names the candidate
    and the baseline that it was compared with; `fingerprint` is that of the device that measured the latency.
    """
    latency = judged["evidence"].get("latency", {})
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.at(root),
        "command": command,
        "target": target,
        "model": model,
        "status": judged["status"],
        "format": judged["format"],
        "digests": dict(digests),
        "seconds": {role: middle(latency, role) for role in ("candidate", "baseline")},
        "verdicts": [{name: verdict[name] for name in _FIGURES} for verdict in judged["verdicts"]],
        "fingerprint": dict(fingerprint),
    }


def middle(latency: Mapping[str, Any], role: str) -> float | None:
    """The median over processes of the seconds that a role's file took; None where nothing was measured."""
    values = latency.get(f"{role}_seconds")
    return statistics.median(values) if values else None


def append(root: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add entries to the end of the project's history; OSError when it cannot be written."""
    text = "".join(json.dumps(item, sort_keys=True, ensure_ascii=False) + "\n" for item in entries)
    if not text:
        return
    handle = os.open(root / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # a writer was killed in mid-line
        os.write(handle, ("\n" * torn + text).encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(root: Path) -> History:
    """The project's history; UsageError where there is none or it cannot be read."""
    path = root / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(path)) from None
    if not lines:
        raise UsageError("there is no history yet", file=str(path), hint="a build or a gate writes its first line")
    found = [_parse(line) for line in lines]
    damaged = tuple(number for number, item in enumerate(found, 1) if item is None)
    return History(tuple(item for item in found if item is not None), damaged)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return item if isinstance(item, dict) and item.keys() >= _NEEDED else None


def times(root: Path, digest: str, fingerprint: Mapping[str, str]) -> list[float]:
    """Seconds that the file with this digest took in earlier builds and gates on the same device."""
    try:
        entries = read(root).entries
    except UsageError:
        return []
    same = [item for item in entries if item["fingerprint"] == dict(fingerprint)]
    both = [(item.get("digests", {}), item.get("seconds", {})) for item in same]
    found = [seconds.get(role) for named, seconds in both for role in named if named[role] == digest]
    return [value for value in found if value is not None]
