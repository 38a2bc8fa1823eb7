"""When a search ends: satisfied, flat, out of recipes or of time, or because its space can express nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgebuild.search import run
from edgebuild.search.bench import Draft
from edgebuild.search.run import Budget
from edgebuild.search.study import Study
from edgebuild.search.trial import Step, Trial
from edgebuild.spec.errors import UsageError
from tests.search import test_study as toy


class Climbs:
    """Tries drafts as the toy model does, or by another rule."""

    waiting = 0

    def __init__(self, rule: Any = toy.tried) -> None:
        self.rule = rule

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        return [self.rule(draft) for draft in drafts]


class Later(Climbs):
    """The last of a batch ends with the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[Draft] = []

    @property
    def waiting(self) -> int:  # type: ignore[override]
        return len(self.left)

    def climb(self, drafts: Sequence[Draft]) -> list[Trial]:
        trials = super().climb([*self.left, *drafts[:-1]])
        self.left = [*drafts[-1:]]
        return trials


def ended(folder: Path, ladder: Climbs, trials: int = 1000, seconds: float = 600.0) -> tuple[str, list[Trial], int]:
    study = Study(folder / "journal.log", "one", toy.space(folder))
    kept: list[int] = []
    budget = Budget(trials, time.monotonic() + seconds)
    why = run.search(study, ladder, budget, lambda tried, known: None, lambda: kept.append(len(study.trials)))
    return why, study.trials, len(kept)


def test_it_ends_after_the_recipes_that_are_allowed_and_keeps_after_each_batch(tmp_path: Path) -> None:
    why, trials, kept = ended(tmp_path, Climbs(), trials=20)
    assert (why, len(trials), kept) == ("20 recipes were tried", 20, 10)


def test_what_waits_is_ended_and_is_among_those_that_are_allowed(tmp_path: Path) -> None:
    why, trials, _ = ended(tmp_path, Later(), trials=20)
    assert (why, len(trials)) == ("20 recipes were tried", 20)


@pytest.mark.parametrize(("trials", "batch", "patience"), [(16, 2, 60), (120, 10, 60), (300, 16, 150)])
def test_the_more_it_may_try_the_more_at_once_and_the_longer_it_looks(trials: int, batch: int, patience: int) -> None:
    budget = Budget(trials, 0.0)
    assert (budget.batch, budget.patience) == (batch, patience)


def test_it_ends_where_nothing_is_added_any_more(tmp_path: Path) -> None:
    why, trials, _ = ended(tmp_path, Climbs(), trials=120)
    assert why == "the last 60 recipes added nothing"
    assert 60 < len(trials) < 120


def test_it_ends_when_it_is_satisfied(tmp_path: Path) -> None:
    def rule(draft: Draft) -> Trial:
        return replace(toy.tried(draft), satisfies=draft.values["prune_channels.ratio"] == 0.5)

    why, trials, _ = ended(tmp_path, Climbs(rule))
    assert why == "a recipe within all goals was found"
    assert len(trials) == 4  # the first ones


def test_an_interruption_keeps_what_was_finished(tmp_path: Path) -> None:
    """The batch that it comes in is tried first by the next run."""
    climbs = Climbs()

    def interrupted(drafts: Sequence[Draft]) -> list[Trial]:
        seen.append([draft.values for draft in drafts])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return Climbs.climb(climbs, drafts)

    seen: list[list[Any]] = []
    climbs.climb = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        ended(tmp_path, climbs, trials=20)
    again = Study(tmp_path / "journal.log", "one", toy.space(tmp_path))
    assert [trial.values for trial in again.trials] == seen[0]
    assert sorted(map(str, (draft.values for draft in again.propose(2)))) == sorted(map(str, seen[1]))


def test_it_ends_when_the_time_is_over(tmp_path: Path) -> None:
    assert ended(tmp_path, Climbs(), seconds=0.0)[:2] == ("the time is over", [])


def test_a_space_of_which_nothing_can_be_planned_is_refused(tmp_path: Path) -> None:
    def rule(draft: Draft) -> Trial:
        return Trial(draft.number, draft.values, Step.of(draft.recipe), "planned", "rejected", "it comes as onnx")

    with pytest.raises(UsageError, match="none of 44 recipes of the space can be planned.*it comes as onnx"):
        ended(tmp_path, Climbs(rule), trials=96)


def test_every_recipe_of_a_space_is_an_end(tmp_path: Path) -> None:
    study = SimpleNamespace(trials=[None] * 0, size=0, propose=lambda count: [])
    why = run.search(study, Climbs(), Budget(5, time.monotonic() + 9), lambda tried, known: None, lambda: None)  # type: ignore[arg-type]
    assert why == "every recipe of the space was tried"
