"""Steps on several machines: two workers against one, and workers and schedulers that are killed while a build runs.

Machines are network namespaces of this one, each with a core, a store and locks of its own; what they share is a
bridge, a cache behind nginx as `docs/cache.md` has it, and a Dask scheduler.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks._tables import Table
from benchmarks.cluster import killing, timing

_TIMES = {
    "workers": ("workers", "d"),
    "seconds": ("build (s)", ".0f"),
    "ratio": ("of one worker's", ".2f"),
    "steps": ("steps on workers", "d"),
    "here": ("steps here", "d"),
}
_KILLS = {
    "who": ("killed (SIGKILL)", ""),
    "kills": ("times", "d"),
    "builds": ("builds", "d"),
    "steps": ("steps", "d"),
    "again": ("begun again", "d"),
    "most": ("most in one build, of its kills", ""),
    "here": ("ran here", "d"),
    "same": ("right results", ""),
}
WORKER_KILLS, SCHEDULER_KILLS = 100, 20


def run(*, small: bool) -> list[Table]:
    """One worker and two, then kills; `small`: a single kill of a worker."""
    with tempfile.TemporaryDirectory(prefix="edgebuild-cluster-") as name:
        folder = Path(name)
        built = [] if small else timing.one_and_two(folder)
        kills = dict(zip(killing.WHO, (WORKER_KILLS, SCHEDULER_KILLS), strict=True))
        wanted = {killing.WHO[0]: 1} if small else kills
        rows = [killing.disturbed(who, folder, count) for who, count in wanted.items()]
    return [_times(built), _killed(rows)]


def _times(built: list[timing.Built]) -> Table:
    rows: list[dict[str, Any]] = [
        {
            "workers": workers,
            "seconds": each.seconds,
            "ratio": each.seconds / built[0].seconds,
            "steps": each.ran,
            "here": each.here,
        }
        for workers, each in enumerate(built, 1)
    ]
    shared = [key for key in built[-1].results if key in built[0].results] if built else []
    equal = sum(built[0].results[key] == built[-1].results[key] for key in shared)
    notes = [
        f"{len(timing.RECIPES)} recipes ({', '.join(timing.RECIPES)}) of a small digits model for "
        f"{len(timing.TARGETS)} targets ({', '.join(timing.TARGETS)}), from an empty cache and stores that have the "
        "float model. Each worker is a network namespace with one core, beside whatever else this machine does.",
        f"Of {len(shared)} results that both have under the same key, {equal} have the same bytes.",
    ]
    figures = {"ratio": f"{rows[-1]['ratio']:.2f}"} if rows else {}
    return Table("Two workers", _TIMES, rows or [dict.fromkeys(_TIMES)], notes, figures)


def _killed(rows: list[dict[str, Any]]) -> Table:
    notes = [
        f"Builds of {killing.STEPS} steps that wait up to a second each, and one that joins them, by two workers from "
        "nothing. One kill after another at random moments; who is killed is started again at once. A step that was "
        "begun again was lost by a kill: never more in a build than kills.",
    ]
    figures = {row["who"].split()[-1]: f"{row['kills']}" for row in rows}
    return Table("Kills", _KILLS, rows, notes, figures)
