"""The points of a search beside `fastest`, each built and judged on the test examples, answers compared in pairs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from benchmarks._tables import Table
from edgebuild.engine.task import Limits
from edgebuild.gates.statistics import paired
from edgebuild.report import progress
from edgebuild.search.record import Result
from edgebuild.spec.evidence import ONLY, Judged, known
from edgebuild.spec.project import Project
from edgebuild.spec.target import SEARCHED
from edgebuild.verbs import searched
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.request import Request

_MOST = 3  # points, the cheapest ones
_FASTEST = "fastest"
_COLUMNS = {
    "recipe": ("recipe", ""),
    "status": ("verdict", ""),
    "accuracy": ("accuracy (test)", ".2%"),
    "bytes": ("bytes", ",d"),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "fewer": (f"right answers less than {_FASTEST}, pp", "+.2f"),
    "low": ("at least", "+.2f"),
    "high": ("at most", "+.2f"),
    "better": (f"better than {_FASTEST} in", ""),
}


@dataclass(frozen=True, slots=True)
class Built:
    """A recipe's shipped file: what judges said, and which test examples it gets right."""

    name: str
    judged: Judged
    right: Any

    @classmethod
    def of(cls, name: str, outcome: Outcome) -> Built:
        """From where a build has put it."""
        import numpy as np

        kind = outcome.verdicts.format
        inside = outcome.folder / "evidence" if outcome.verdicts.status != "fail" else outcome.folder
        with np.load(inside / f"accuracy-{kind}" / "hits.npz") as stored:
            return cls(name, outcome.verdicts.shipped, stored["candidate"])


def table(project: Project, result: Result) -> Table:
    """A row for `fastest`, then one for each of the cheapest points."""
    reference = _build(project, result, _FASTEST, _FASTEST)
    rows = [_row(reference, reference)]
    for trial in result.front[:_MOST]:
        searched.take(project, result.target, result.model, trial.number)
        rows.append(_row(_build(project, result, SEARCHED, f"#{trial.number}: {result.told(trial.number)}"), reference))
    beating = [row for row in rows[1:] if row["status"] == "pass" and row["count"] >= 2 and row["low"] <= 0]
    notes = [
        "Built like any recipe and judged on the test examples, which the search never saw.",
        "Right answers are compared example by example (Tango 1998, two-sided 95 %): above zero is worse.",
    ]
    figures = {"beating": str(len(beating))}
    return Table(f"beside {_FASTEST}, on the test examples", _COLUMNS, rows, notes, figures)


def _build(project: Project, result: Result, recipe: str, name: str) -> Built:
    request = Request(project, (result.target,), (result.model,), recipe=recipe)
    with progress.display(sys.stderr) as events:
        (outcome,), _ = build(request, events, Limits())
    return Built.of(name, outcome)


def _row(built: Built, reference: Built) -> dict[str, Any]:
    footprint, latency = known(built.judged.evidence.footprint), known(built.judged.evidence.latency)
    theirs, before = known(reference.judged.evidence.footprint), known(reference.judged.evidence.latency)
    pairs = paired.count_pairs(built.right, reference.right)
    bound = paired.drop_interval(pairs.lost, pairs.won, pairs.n)
    better = {
        "bytes": footprint.candidate.download < theirs.candidate.download,
        "time": latency.candidate_seconds[0] < before.candidate_seconds[0],
        "accuracy": bound.estimate < 0,
    }
    return {
        "recipe": built.name,
        "status": built.judged.status,
        "accuracy": known(built.judged.evidence.accuracy).heads[ONLY].candidate.accuracy,
        "bytes": footprint.candidate.download,
        "ms": 1e3 * latency.candidate_seconds[0],
        "fewer": 100 * bound.estimate,
        "low": 100 * bound.low,
        "high": 100 * bound.high,
        "better": ", ".join(name for name, is_so in better.items() if is_so) or "–",
        "count": sum(better.values()),
    }
