"""The search on the digits model for the Raspberry Pi 4, beside `fastest` and a grid that is gone through."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import _project
from benchmarks._tables import Table
from benchmarks.search import beside, grid
from edgebuild.engine.task import Limits
from edgebuild.report import searching
from edgebuild.search import pareto
from edgebuild.search.record import Result
from edgebuild.search.trial import Trial
from edgebuild.spec.project import Project
from edgebuild.verbs import search

TARGET, MODEL = "rpi4", "digits"
MINUTES, RECIPES, JOBS = 30, 400, 2
_COLUMNS = {
    "number": ("number", ""),
    "recipe": ("recipe", ""),
    "format": ("format", ""),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "bytes": ("bytes", ",d"),
    "loss": ("loss (validation), pp", "+.2f"),
    "low": ("at least", "+.2f"),
    "high": ("at most", "+.2f"),
    "ties": ("ties", ""),
}


def run(*, small: bool) -> list[Table]:
    """The points worth having, `fastest` beside those that were applied, the grid; `small`: a few recipes of a small
    model.
    """
    _project.target(TARGET)
    with tempfile.TemporaryDirectory() as folder:
        project = _project.digits(Path(folder), small=small)
        if small:
            _project.with_target(project.root, TARGET, examples=20, formats=("tflite",), short=True)
            return [grid.table(project, TARGET, MODEL, small=True)]
        result = _searched(project)
        return [_front(result), beside.table(project, result), grid.table(project, TARGET, MODEL, small=False)]


def _searched(project: Project) -> Result:
    """With nothing in the store: the minutes are also the float model's and its teacher's."""
    with searching.display(sys.stderr) as watcher:
        request = search.Request(project, TARGET, MODEL, 60.0 * MINUTES, RECIPES, None, JOBS)
        return search.run(request, watcher, Limits())


def _front(result: Result) -> Table:
    rows: list[dict[str, Any]] = []
    for trial in result.front:
        point = trial.point
        assert point is not None
        assert point.loss is not None
        loss = point.loss
        figures = {"ms": 1e3 * point.seconds, "bytes": point.bytes, "loss": 100 * loss.estimate}
        ends = {"low": 100 * loss.low, "high": 100 * loss.high}
        ties = ", ".join(map(str, pareto.ties(trial, result.trials))) or "–"
        told = {"number": str(trial.number), "recipe": result.told(trial.number), "format": point.format, "ties": ties}
        rows.append({**told, **figures, **ends})
    became = Counter(_end(trial) for trial in result.trials)
    figures_ = {
        "considered": f"{len(result.trials):,}",
        "passing": str(sum(trial.passes for trial in result.trials)),
        "from_store": f"{result.steps.shared:.0%}",
        "minutes": f"{result.seconds / 60:.0f}",
    } | {name: str(became[name]) for name in _ENDS}
    told_ = ", ".join(f"{became[name]} {what}" for name, what in _ENDS.items())
    notes = [
        f"{len(result.trials)} recipes in {result.seconds / 60:.0f} min on {JOBS} cores: {result.ended}.",
        f"Of these {told_}.",
        f"{result.steps.shared:.0%} of {result.steps.asked:,} steps that recipes asked for came from the store.",
    ]
    return Table(f"{MODEL} on {TARGET}: worth having", _COLUMNS, rows, notes, figures_)


_ENDS = {
    "planned": "could not be planned",
    "bounded": "are too large by bounds, for which nothing ran",
    "refused": "a step refused",
    "counted": "miss a gate on what is counted",
    "behind": "add nothing by what is counted",
    "short": "ended after a short training",
    "whole": "were tried whole",
}


def _end(trial: Trial) -> str:
    """How a recipe ended."""
    if trial.rung == "counted" and trial.status == "behind":
        return "behind"
    refused = trial.rung not in ("planned", "bounded") and trial.status == "rejected" and not trial.misses
    return "refused" if refused else trial.rung
