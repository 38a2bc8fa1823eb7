"""Optuna is asked and told: proposes each recipe once, learns from what it is told, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgebuild.search import pareto
from edgebuild.search.bench import Draft
from edgebuild.search.study import Study
from edgebuild.search.trial import Loss, Miss, Point, Step, Trial
from edgebuild.spec.enumeration import every
from edgebuild.spec.space import Draw, Space, text
from edgebuild.spec.spaces import read_space

SPACE = """\
description = "how much goes, and what is left of it"
sampler = "{sampler}"
[[steps]]
use = "prune_channels"
ratio = {{ from = 0.1, to = 0.9, step = 0.1 }}
criterion = {{ choices = ["magnitude", "taylor", "random"] }}
[[steps]]
use = "low_rank"
optional = true
energy = {{ from = 0.5, to = 0.9, step = 0.1 }}
[[starts]]
"prune_channels.ratio" = 0.5
"prune_channels.criterion" = "magnitude"
low_rank = false
"""
MOST = 0.6  # of the channels may go


def space(folder: Path, sampler: str = "tpe", text: str = SPACE) -> Space:
    (folder / "toy.toml").write_text(text.format(sampler=sampler))
    return read_space(folder / "toy.toml", "spaces/toy.toml")


def tried(draft: Draft) -> Trial:
    """A toy model: time and bytes fall with what goes, and beyond a ratio, which the criterion moves, it fails."""
    ratio, criterion = draft.values["prune_channels.ratio"], draft.values["prune_channels.criterion"]
    worse = {"magnitude": 0.0, "taylor": 0.05, "random": 0.4}[criterion] + 0.1 * draft.values["low_rank"]
    loss = max(0.0, ratio + worse - MOST) * 10
    share = 1 - ratio
    own = Loss("accuracy", "share", 300, loss, loss / 100, 0.0, loss / 100)
    point = Point("onnx", share, share, share, 0.1, int(1e5 * share), int(1e5 * share), share, share, own)
    misses = (Miss("accuracy", "1 pp", loss - 1, "lost too much"),) if loss > 1 else ()
    status = "rejected" if misses else "passes"
    return Trial(draft.number, draft.values, Step.of(draft.recipe), "whole", status, "", point, misses)  # type: ignore[arg-type]


def _drawing(values: Mapping[str, Any]) -> Draw:
    return lambda name, domain: values[name]


def volume(trials: Iterable[Trial]) -> float:
    return pareto.hypervolume([pareto.in_box(trial.point) for trial in trials if trial.passes and trial.point])


def test_it_begins_with_the_starts_and_proposes_each_recipe_once(tmp_path: Path) -> None:
    study = Study(tmp_path / "journal.log", "one", space(tmp_path))
    drafts = [draft for _ in range(5) for draft in _step(study)]
    assert text(drafts[0].recipe) == "prune_channels criterion=magnitude ratio=0.5"
    assert len({text(draft.recipe) for draft in drafts}) == 20
    assert [draft.number for draft in drafts] == [*range(20)]


def test_what_was_proposed_and_is_not_told_yet_is_not_proposed_again(tmp_path: Path) -> None:
    small = 'description = "x"\n[[steps]]\nuse = "prune_channels"\nratio = {{ choices = [0.2, 0.4, 0.6] }}\n'
    study = Study(tmp_path / "journal.log", "one", space(tmp_path, text=small))
    ratios = [draft.values["prune_channels.ratio"] for count in (2, 2, 2) for draft in study.propose(count)]
    assert sorted(ratios) == [0.2, 0.4, 0.6]


def _step(study: Study) -> list[Draft]:
    drafts = study.propose(4)
    study.tell([tried(draft) for draft in drafts])
    return drafts


@pytest.mark.parametrize(("sampler", "least"), [("tpe", 0.95), ("nsga2", 0.8)])
def test_it_finds_what_is_worth_having_in_a_third_of_the_space(tmp_path: Path, sampler: str, least: float) -> None:
    study_space = space(tmp_path, sampler)
    study = Study(tmp_path / "journal.log", "one", study_space)
    recipes = every(study_space, 1000)
    assert recipes is not None
    for _ in range(len(recipes) // 3 // 4):
        _step(study)
    whole = [Draft(number, values, study_space.recipe(_drawing(values))) for number, values in enumerate(recipes)]
    assert len(study.trials) <= len(recipes) / 3
    assert volume(study.trials) >= least * volume(tried(draft) for draft in whole) > 0


def test_what_it_was_told_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = Study(tmp_path / "journal.log", "one", space(tmp_path))
    _step(first)
    # An interruption comes before anything is told of these. The last is none that a sampler would draw again.
    rare = {"prune_channels.ratio": 0.9, "prune_channels.criterion": "random", "low_rank": True, "low_rank.energy": 0.9}
    lost = [*first.propose(2), first._draft(rare)]
    again = Study(tmp_path / "journal.log", "one", space(tmp_path))
    assert again.trials == first.trials
    assert [text(draft.recipe) for draft in again.propose(3)] == [text(draft.recipe) for draft in lost]
    assert Study(tmp_path / "journal.log", "another", space(tmp_path)).trials == []


OPEN_ENDED = """\
description = "x"
[[steps]]
use = "low_rank"
optional = true
energy = {{ choices = [0.5, 0.9] }}
[[steps]]
use = "prune_channels"
ratio = {{ choices = [0.2, 0.4, 0.6] }}
"""


def test_what_begins_as_a_recipe_that_was_refused_is_not_proposed(tmp_path: Path) -> None:
    small = space(tmp_path, text=OPEN_ENDED)
    first = Study(tmp_path / "journal.log", "one", small)
    draft = first._draft({"low_rank": True, "low_rank.energy": 0.5, "prune_channels.ratio": 0.4})
    first.tell([Trial(draft.number, draft.values, Step.of(draft.recipe), "counted", "rejected", "no", refused_at=0)])
    again = Study(tmp_path / "journal.log", "one", small)
    left = [
        *(f"low_rank energy=0.9 → prune_channels ratio={ratio}" for ratio in (0.2, 0.4, 0.6)),
        *(f"prune_channels ratio={ratio}" for ratio in (0.2, 0.4, 0.6)),
    ]
    for study in (again, first):
        assert sorted(text(draft.recipe) for draft in study.propose(9)) == left


def test_a_small_space_is_tried_to_its_end(tmp_path: Path) -> None:
    small = 'description = "x"\n[[steps]]\nuse = "prune_channels"\nratio = {{ choices = [0.2, 0.4, 0.6] }}\n'
    study = Study(tmp_path / "journal.log", "one", space(tmp_path, text=small))
    drafts = study.propose(8)
    assert sorted(draft.values["prune_channels.ratio"] for draft in drafts) == [0.2, 0.4, 0.6]
    assert study.size == 3
