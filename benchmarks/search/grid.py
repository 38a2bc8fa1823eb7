"""A small grid that is gone through recipe by recipe, and what a search finds of it with a third of the recipes."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from edgebuild.search.run import Budget, Trier, search
from edgebuild.search.study import Study
from edgebuild.search.trial import Trial
from edgebuild.spec.enumeration import every
from edgebuild.spec.project import Project
from edgebuild.spec.space import Draw, Space, text
from edgebuild.spec.spaces import read_space
from edgebuild.verbs.journal import Journal
from edgebuild.verbs.trials import Trials

_GRID = Path(__file__).with_name("grid.toml")
_ALLOWED = 0.35  # of the recipes of the grid
_SEEDS = 20
_HOURS = 6.0
_COLUMNS = {
    "way": ("way", ""),
    "recipes": ("recipes", "d"),
    "whole": ("trained whole", "d"),
    "passing": ("pass", "d"),
    "volume": ("hypervolume", ".4f"),
    "share": ("of the whole grid's", ".1%"),
    "low": ("lowest seed", ".1%"),
    "high": ("highest seed", ".1%"),
}


@dataclass(frozen=True, slots=True)
class Replay:
    """Recipes that were tried whole already: each comes to what it came to, whoever asks."""

    known: Mapping[str, Trial]

    @classmethod
    def of(cls, trials: Sequence[Trial], recipes: Sequence[Draft]) -> Replay:
        """The trials, and the drafts that they came of."""
        names = {draft.number: text(draft.recipe) for draft in recipes}
        return cls({names[trial.number]: trial for trial in trials})

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        """As they were, by their new numbers."""
        pairs = [(draft, self.known[text(draft.recipe)]) for draft in drafts]
        return [replace(trial, number=draft.number, values=draft.values) for draft, trial in pairs]


def table(project: Project, target: str, model: str, *, small: bool) -> Table:
    """A row for the grid and two for searches in it; `small`: of two recipes that train nothing."""
    space = read_space(_GRID, "benchmarks/search/grid.toml")
    space = replace(space, lines=space.lines[-1:]) if small else space
    recipes = every(space, 1000)
    assert recipes is not None
    allowed = max(1, math.floor(_ALLOWED * len(recipes)))
    subject = Subject.of(project.target(target), project.model(model), project.policy())
    store = Store(project.store)
    try:
        with progress.display(sys.stderr) as events:
            bench = Trials(store, subject, Journal(events), Limits(), 2, time.monotonic() + 3600 * _HOURS)
            bench.start()
            drafts = [Draft(number, values, space.recipe(_drawing(values))) for number, values in enumerate(recipes)]
            whole = Ladder(bench, subject.gates, share=None).climb(drafts)
            halving = _searched(Ladder(bench, subject.gates), space, allowed, 0)
    finally:
        store.close()
    replay = Replay.of(whole, drafts)
    return _compared(whole, [_searched(replay, space, allowed, seed) for seed in range(_SEEDS)], halving)


def _drawing(values: Mapping[str, Any]) -> Draw:
    return lambda name, domain: values[name]


def _searched(by: Trier, space: Space, allowed: int, seed: int) -> Sequence[Trial]:
    """What a search comes to that may try so many."""
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder) / "journal.log", "grid", space, seed)
        search(study, by, Budget(allowed, math.inf), lambda tried, known: None, lambda: None)
        return study.trials


def _compared(whole: Sequence[Trial], seeds: Sequence[Sequence[Trial]], halving: Sequence[Trial]) -> Table:
    best, ordered = _volume(whole), sorted(seeds, key=_volume)
    median = ordered[len(ordered) // 2]
    rows = [
        _row("the grid, each recipe whole", whole, best),
        _row(f"a search, each recipe whole: the median of {len(seeds)} seeds", median, best)
        | {"low": _share(ordered[0], best), "high": _share(ordered[-1], best)},
        _row("a search that trains a third of its recipes whole, one seed", halving, best),
    ]
    share = rows[1]["share"]
    figures = {"grid_share": f"{share:.0%}" if isinstance(share, float) else "–", "grid_recipes": str(len(whole))}
    notes = [
        "Of time and bytes against the float model, and of what answers may lose; judged by validation examples.",
        "Searches of the second row ask Optuna anew for each seed; what a recipe comes to is known from the grid.",
    ]
    return Table("a grid that was gone through", _COLUMNS, rows, notes, figures)


def _row(way: str, trials: Sequence[Trial], best: float) -> dict[str, Any]:
    return {
        "way": way,
        "recipes": len(trials),
        "whole": sum(trial.rung == "whole" for trial in trials),
        "passing": sum(trial.passes for trial in trials),
        "volume": _volume(trials),
        "share": _share(trials, best),
        "low": None,
        "high": None,
    }


def _share(trials: Sequence[Trial], best: float) -> float | None:
    return _volume(trials) / best if best else None


def _volume(trials: Iterable[Trial]) -> float:
    return pareto.hypervolume([pareto.in_box(trial.point) for trial in trials if trial.passes and trial.point])
