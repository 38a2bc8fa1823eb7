"""The history of a project: one JSON line for every build with a new outcome and for every gate.

Several may append at once: a line is one write to the file's end, under the file's lock. Lines are never changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edgebuild.bundle import commit
from edgebuild.bundle.commit import Commit
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Judged, Latency, Status, Verdict
from edgebuild.spec.target import Fidelity

FILE = "history.jsonl"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a verdict says in numbers."""

    metric: str
    limit: str
    status: Status
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    fidelity: Fidelity


@dataclass(frozen=True, slots=True)
class Middles:
    """The medians over processes of the seconds that both files took; None where nothing was measured."""

    candidate: float | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what a build or a gate said of a model on a target.

    `digests` name the candidate and the baseline that it was compared with; `fingerprint` is that of the device that
    measured the latency.
    """

    time: str
    command: str
    target: str
    model: str
    status: Status
    verdicts: tuple[Figures, ...]
    fingerprint: Mapping[str, str]
    commit: Commit | None = None
    format: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    seconds: Middles = Middles()


@dataclass(frozen=True, slots=True)
class History:
    """The entries of a project, oldest first, and the numbers of the lines that cannot be read."""

    entries: tuple[Entry, ...]
    damaged: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What was judged: by which command, which model for which target, and in which format it ships."""

    command: str
    target: str
    model: str
    format: str


def entry(
    root: Path, subject: Subject, judged: Judged, digests: Mapping[str, str], fingerprint: Mapping[str, str]
) -> Entry:
    """One line of the history, of the project at `root` now; `judged` is the format that is shipped."""
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=subject.command,
        target=subject.target,
        model=subject.model,
        status=judged.status,
        verdicts=tuple(_figures(verdict) for verdict in judged.verdicts),
        fingerprint=fingerprint,
        commit=commit.at(root),
        format=subject.format,
        digests=digests,
        seconds=middles(judged.evidence.latency),
    )


def _figures(verdict: Verdict) -> Figures:
    ends = (verdict.estimate, verdict.low, verdict.high)
    return Figures(verdict.metric, verdict.limit, verdict.status, *ends, verdict.n, verdict.fidelity)


def middles(latency: Latency | None) -> Middles:
    """The medians over processes of the seconds that both files took."""
    return Middles(_middle(latency.candidate_seconds), _middle(latency.baseline_seconds)) if latency else Middles()


def _middle(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def append(root: Path, entries: Iterable[Entry]) -> None:
    """Add entries to the end of the project's history; OSError when it cannot be written."""
    text = "".join(_line(item) for item in entries)
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


def _line(item: Entry) -> str:
    return json.dumps(documents.to_json(item), sort_keys=True, ensure_ascii=False) + "\n"


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
    items = [_parse(line) for line in lines]
    damaged = tuple(number for number, item in enumerate(items, 1) if item is None)
    return History(tuple(item for item in items if item is not None), damaged)


def _parse(line: bytes) -> Entry | None:
    try:
        return documents.from_json(Entry, json.loads(line), file=FILE)
    except (ValueError, RecursionError, UsageError):
        return None


def times(root: Path, digest: str, fingerprint: Mapping[str, str]) -> list[float]:
    """Seconds that the file with this digest took in earlier builds and gates on the same device."""
    try:
        entries = read(root).entries
    except UsageError:
        return []
    same = [item for item in entries if item.fingerprint == dict(fingerprint)]
    seconds = [{"candidate": item.seconds.candidate, "baseline": item.seconds.baseline} for item in same]
    named = [(item.digests, each) for item, each in zip(same, seconds, strict=True)]
    values = [each.get(role) for digests, each in named for role in digests if digests[role] == digest]
    return [value for value in values if value is not None]
