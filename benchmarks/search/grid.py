"""A small grid that is gone through recipe by recipe, and what a search finds of it with a third of the recipes."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._tables import Table
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.plan.trying import Subject
from edgebuild.report import progress
from edgebuild.search import pareto
from edgebuild.search.bench import Draft
from edgebuild.search.ladder import Ladder
from edgebuild.search.run import Budget, search
from edgebuild.search.study import Study
from edgebuild.search.trial import Trial
from edgebuild.spec.enumeration import every
from edgebuild.spec.project import Project
from edgebuild.spec.space import Draw, Space
from edgebuild.spec.spaces import read_space
from edgebuild.verbs.journal import Journal
from edgebuild.verbs.trials import Trials

_GRID = Path(__file__).with_name("grid.toml")
_ALLOWED = 0.35  # of the recipes of the grid
_HOURS = 6.0
_COLUMNS = {
    "way": ("way", ""),
    "recipes": ("recipes", "d"),
    "whole": ("trained whole", "d"),
    "passing": ("pass", "d"),
    "volume": ("hypervolume", ".4f"),
    "share": ("of the whole grid's", ".1%"),
}


def table(project: Project, target: str, model: str, *, small: bool) -> Table:
    """A row for the grid and one for the search; `small`: of two recipes that train nothing."""
    space = read_space(_GRID, "benchmarks/search/grid.toml")
    space = replace(space, lines=space.lines[-1:]) if small else space
    recipes = every(space, 1000)
    assert recipes is not None
    subject = Subject.of(project.target(target), project.model(model), project.policy())
    store = Store(project.store)
    try:
        with progress.display(sys.stderr) as events:
            bench = Trials(store, subject, Journal(events), Limits(), 2, time.monotonic() + 3600 * _HOURS)
            bench.start()
            drafts = [Draft(number, values, space.recipe(_drawing(values))) for number, values in enumerate(recipes)]
            whole = Ladder(bench, subject.gates, share=None).climb(drafts)
            tried = _searched(bench, subject, space, max(1, math.floor(_ALLOWED * len(recipes))))
    finally:
        store.close()
    return _compared(whole, tried)


def _drawing(values: Mapping[str, Any]) -> Draw:
    return lambda name, domain: values[name]


def _searched(bench: Trials, subject: Subject, space: Space, allowed: int) -> Sequence[Trial]:
    """What a search comes to that may try so many."""
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder) / "journal.log", "grid", space)
        ladder = Ladder(bench, subject.gates)
        search(study, ladder, Budget(allowed, math.inf), lambda tried, known: None, lambda: None)
        return study.trials


def _compared(whole: Sequence[Trial], tried: Sequence[Trial]) -> Table:
    best = _volume(whole)
    rows = [
        {
            "way": way,
            "recipes": len(trials),
            "whole": sum(trial.rung == "whole" for trial in trials),
            "passing": sum(trial.passes for trial in trials),
            "volume": _volume(trials),
            "share": _volume(trials) / best if best else None,
        }
        for way, trials in (("the grid, each recipe whole", whole), ("a search", tried))
    ]
    share = rows[1]["share"]
    figures = {"grid_share": f"{share:.0%}" if isinstance(share, float) else "–", "grid_recipes": str(len(whole))}
    notes = ["Of time and bytes against the float model, and of what answers may lose; judged by validation examples."]
    return Table("a grid that was gone through", _COLUMNS, rows, notes, figures)


def _volume(trials: Iterable[Trial]) -> float:
    return pareto.hypervolume([pareto.in_box(trial.point) for trial in trials if trial.passes and trial.point])
