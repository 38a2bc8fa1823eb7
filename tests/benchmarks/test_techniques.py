"""The benchmark of techniques: its comparison against figures worked out by hand, and its recipes planned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import _project, techniques
from benchmarks._digits import FORMAT, Digits, Variant
from edgebuild.engine.store import Store
from edgebuild.spec.project import open_project

BETTER, WORSE = np.array([True] * 6 + [False] * 2), np.array([True] * 3 + [False] * 5)


def test_the_gain_is_that_of_the_same_examples_with_students_interval_over_them() -> None:
    found = techniques.compared([(BETTER, WORSE), (BETTER, WORSE)])
    assert (found["first"], found["second"], found["gain"]) == (0.75, 0.375, 0.375)
    wanted = stats.t.interval(0.95, 7, 0.375, stats.sem([0, 0, 0, 1, 1, 1, 0, 0]))
    assert (found["low"], found["high"]) == pytest.approx(wanted)


def test_it_holds_only_when_the_interval_is_above_zero_and_every_seed_is_won() -> None:
    many, few = np.arange(400) < 300, np.arange(400) < 200
    assert techniques.compared([(many, few)] * 3)["holds"]
    assert not techniques.compared([(few, many)] * 3)["holds"]
    assert not techniques.compared([(many, few), (many, few), (few, many)])["holds"]
    assert not techniques.compared([(many, many)] * 3)["holds"]


def test_every_recipe_is_valid_and_what_two_share_is_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digits = Digits(open_project(_project.ROOT), store)
    files = [digits.file(variant) for variant in techniques.VARIANTS]
    assert {digits.graph.kind(file) for file in files} == {FORMAT}
    assert len({*files}) == len(files)
    before = len(digits.graph.nodes)
    for _, _, better, worse in techniques.DUELS:
        assert digits.torch(Variant("", "", better)) != digits.torch(Variant("", "", worse))
    plain = [lines for _, told, _, lines in techniques.DUELS if "labels" in told]
    assert len({digits.torch(Variant("", "", lines)) for lines in plain}) == 2
    assert len(digits.graph.nodes) > before
    store.close()
