"""A small grid that is gone through recipe by recipe, and what a search finds of it with a third of the recipes."""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._tables import Table
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.plan.trying import Subject
from edgebuild.report import progress
from edgebuild.search import pareto
from edgebuild.search.bench import Answered, Bench, Counted, Draft, Measured, Refused
from edgebuild.search.ladder import Ladder
from edgebuild.search.run import Budget, Trier, search
from edgebuild.search.study import Study
from edgebuild.search.trial import Trial
from edgebuild.spec.enumeration import every
from edgebuild.spec.evidence import Weight
from edgebuild.spec.project import Project
from edgebuild.spec.space import Draw, Space, text
from edgebuild.spec.spaces import read_space
from edgebuild.spec.target import Recipe
from edgebuild.spec.technique import Technique
from edgebuild.verbs.journal import Journal
from edgebuild.verbs.trials import Trials

_GRID = Path(__file__).with_name("grid.toml")
_ALLOWED = 0.35  # of the recipes of the grid
_ENOUGH = 0.95  # of the hypervolume of the whole grid
_SEEDS, _DRAWS = 40, 1000  # of searches, and of recipes drawn at random, which takes no time
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
    "reach": (f"seeds that have {_ENOUGH:.0%}", ".0%"),
}


@dataclass(frozen=True, slots=True)
class Replay:
    """Recipes that were tried whole already: each comes to what it came to, whoever asks."""

    known: Mapping[str, Trial]
    waiting: int = 0

    @classmethod
    def of(cls, trials: Sequence[Trial], recipes: Sequence[Draft]) -> Replay:
        """The trials, and the drafts that they came of."""
        names = {draft.number: text(draft.recipe) for draft in recipes}
        return cls({names[trial.number]: trial for trial in trials})

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        """As they were, by their new numbers."""
        pairs = [(draft, self.known[text(draft.recipe)]) for draft in drafts]
        return [replace(trial, number=draft.number, values=draft.values) for draft, trial in pairs]


@dataclass(frozen=True, slots=True)
class Remembering:
    """A bench that measures nothing twice: searches one after the other cost what is new in them."""

    bench: Bench
    known: dict[str, Measured] = field(default_factory=dict)

    @property
    def baselines(self) -> Mapping[str, Weight]:
        """Of the bench."""
        return self.bench.baselines

    def steps(self, recipe: Recipe) -> tuple[Technique, ...] | Refused:
        """Of the bench."""
        return self.bench.steps(recipe)

    def short(self, recipe: Recipe) -> Recipe | None:
        """Of the bench."""
        return self.bench.short(recipe)

    def measure(self, candidates: Sequence[Counted | Answered]) -> list[Measured]:
        """What is known, and of the bench what is not."""
        keys = [f"{text(one.recipe)} {replace(one, recipe=Recipe())}" for one in candidates]
        new = {key: one for key, one in zip(keys, candidates, strict=True) if key not in self.known}
        self.known.update(zip(new, self.bench.measure([*new.values()]), strict=True))
        return [self.known[key] for key in keys]


def table(project: Project, target: str, model: str, *, small: bool) -> Table:
    """A row for the grid and two for searches in it; `small`: of two recipes that train nothing."""
    space = read_space(_GRID, "benchmarks/search/grid.toml")
    space = replace(space, lines=space.lines[-1:]) if small else space
    recipes = every(space, 1000)
    assert recipes is not None
    allowed, seeds = max(1, math.floor(_ALLOWED * len(recipes))), range(2 if small else _SEEDS)
    subject = Subject.of(project.target(target), project.model(model), project.policy())
    store = Store(project.store)
    try:
        with progress.display(sys.stderr) as events:
            trials = Trials(store, subject, Journal(events), Limits(), 2, time.monotonic() + 3600 * _HOURS)
            trials.start(taught=True)
            bench = Remembering(trials)
            drafts = [Draft(number, values, space.recipe(_drawing(values))) for number, values in enumerate(recipes)]
            grid = Ladder(bench, subject.gates, share=None)
            whole = [*grid.climb(drafts), *grid.climb([])]
            halving = [_searched(Ladder(bench, subject.gates), space, allowed, seed) for seed in seeds]
    finally:
        store.close()
    replay = Replay.of(whole, drafts)
    draws = [np.random.default_rng(seed).choice(len(whole), allowed, replace=False) for seed in range(_DRAWS)]
    by_chance = [[whole[number] for number in draw] for draw in draws]
    return _compared(whole, by_chance, [_searched(replay, space, allowed, seed) for seed in seeds], halving)


def _drawing(values: Mapping[str, Any]) -> Draw:
    return lambda name, domain: values[name]


def _searched(by: Trier, space: Space, allowed: int, seed: int) -> Sequence[Trial]:
    """What a search comes to that may try so many."""
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder) / "journal.log", "grid", space, seed)
        search(study, by, Budget(allowed, math.inf), lambda tried, known: None, lambda: None)
        return study.trials


def _compared(
    whole: Sequence[Trial],
    by_chance: Sequence[Sequence[Trial]],
    seeds: Sequence[Sequence[Trial]],
    halving: Sequence[Sequence[Trial]],
) -> Table:
    best, of = _volume(whole), f"the median of {len(seeds)} seeds"
    rows = [
        _row("the grid, each recipe whole", whole, best),
        _median(f"drawn at random, each recipe whole: the median of {len(by_chance):,} draws", by_chance, best),
        _median(f"a search, each recipe whole: {of}", seeds, best),
        _median(f"a search that trains a third of its recipes whole: {of}", halving, best),
    ]
    _, chance, searched, halved = rows
    shares = {"grid_share": searched["share"], "halving_share": halved["share"]}
    shares |= {"random_reach": chance["reach"], "grid_reach": searched["reach"], "halving_reach": halved["reach"]}
    figures = {name: f"{share:.0%}" if isinstance(share, float) else "–" for name, share in shares.items()}
    notes = [
        "Of time and bytes against the float model, and of what answers may lose; judged by validation examples.",
        "Searches ask Optuna anew for each seed; what a recipe comes to is known from the grid, and after a short "
        "training from the first search that asks.",
        *_left(halving),
    ]
    return Table("a grid that was gone through", _COLUMNS, rows, notes, figures | {"grid_recipes": str(len(whole))})


def _median(way: str, searches: Sequence[Sequence[Trial]], best: float) -> dict[str, Any]:
    """The row of the search in the middle, with the shares of the first and the last one, and how many have enough."""
    ordered = sorted(searches, key=_volume)
    ends = {"low": _share(ordered[0], best), "high": _share(ordered[-1], best)}
    if best:
        ends["reach"] = sum(_volume(each) >= _ENOUGH * best for each in ordered) / len(ordered)
    return _row(way, ordered[len(ordered) // 2], best) | ends


def _left(searches: Sequence[Sequence[Trial]]) -> list[str]:
    """What whole trainings left of what short ones had lost, by how deep it was pruned."""
    losses: dict[float, set[tuple[float, float]]] = {}
    for trial in (trial for search_ in searches for trial in search_):
        if trial.rung == "whole" and trial.short is not None and trial.point and trial.point.loss:
            ratio = next((float(step.options["ratio"]) for step in trial.steps if "ratio" in step.options), 0.0)
            losses.setdefault(ratio, set()).add((trial.short, trial.point.loss.share))
    lines = [
        f"{ratio:g}: {statistics.median(a for a, _ in pairs):.1f} → {statistics.median(b for _, b in pairs):.1f}"
        for ratio, pairs in sorted(losses.items())
    ]
    said = "Times what answers may lose, after a short training and after a whole one, by the ratio that was pruned: "
    return [said + "; ".join(lines) + "."] if lines else []


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
        "reach": None,
    }


def _share(trials: Sequence[Trial], best: float) -> float | None:
    return _volume(trials) / best if best else None


def _volume(trials: Iterable[Trial]) -> float:
    return pareto.hypervolume([pareto.in_box(trial.point) for trial in trials if trial.passes and trial.point])
