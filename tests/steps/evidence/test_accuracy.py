"""Accuracy from hits: counted example by example, from outputs made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from edgebuild.gates.statistics import paired
from edgebuild.spec import dataset, drawing, evidence
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.evidence import ONLY
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence.accuracy import Accuracy
from tests import measured, tiny
from tests.steps.evidence import folders

LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
RIGHT = np.eye(3)[LABELS]
WRONG = np.eye(3)[[1, 2, 0, 1, 2, 0, 1, 2]]


def answers(*wrong: int) -> Any:
    """Right but for these examples."""
    given = RIGHT.copy()
    given[list(wrong)] = WRONG[list(wrong)]
    return given


def measure(tmp_path: Path, candidate: Any, baseline: Any, **more: tuple[str, Path]) -> tuple[evidence.Accuracy, Path]:
    inputs = {
        "candidate": folders.outputs(tmp_path / "candidate", candidate),
        "baseline": folders.outputs(tmp_path / "baseline", baseline),
        "data": folders.data(tmp_path / "data", LABELS),
    }
    out = tiny.perform(
        Accuracy((Head(ONLY, "classification", labels=("zero", "same", "same", "never")),)),
        tmp_path / "out",
        inputs | more,
    )
    return folders.read(evidence.Accuracy, out), out


def head(accuracy: evidence.Accuracy) -> evidence.Answers:
    return accuracy.heads[ONLY]


def test_hits_are_counted_in_pairs(tmp_path: Path) -> None:
    accuracy, out = measure(tmp_path, answers(0, 1, 2), answers(2, 7))
    counts = head(accuracy)
    assert (counts.n, counts.lost, counts.won) == (8, 2, 1)
    assert counts.candidate.accuracy == 5 / 8
    assert counts.baseline.accuracy == 6 / 8
    with np.load(out / "hits.npz") as hits:
        assert hits["candidate"].tolist() == [False, False, False, True, True, True, True, True]
        assert hits["baseline"].tolist() == [True, True, False, True, True, True, True, False]


def test_each_rate_has_wilsons_interval(tmp_path: Path) -> None:
    accuracy, _ = measure(tmp_path, answers(), answers(0, 1))
    for rate, hits in ((head(accuracy).candidate, 8), (head(accuracy).baseline, 6)):
        interval = binomtest(hits, 8).proportion_ci(method="wilson")
        assert (rate.low, rate.high) == pytest.approx((interval.low, interval.high))


def test_the_origin_is_the_candidates_or_the_devices(tmp_path: Path) -> None:
    alone, _ = measure(tmp_path / "a", answers(), answers())
    assert alone.origin.fidelity == "host"
    assert (alone.agreement, head(alone).device) == (None, None)
    rows = drawing.chosen(8, 3)
    device = folders.outputs(tmp_path / "device", answers()[rows], "emulated")
    _, agreement = measured.on_device(0, 3, 8, identical=True)
    agreed = folders.evidence(tmp_path / "agreed", agreement)
    both, _ = measure(tmp_path / "b", answers(), answers(), device=device, agreement=agreed)
    assert both.origin.fidelity == "emulated"
    assert (both.agreement, head(both).device) == (agreement, evidence.Overlap(3, 8, 0, 0))
    assert sum(group.unrun for group in head(both).classes.values()) == 5


def test_the_devices_own_answers_count_where_it_gave_any(tmp_path: Path) -> None:
    rows = drawing.chosen(8, 3).tolist()
    here, there = answers(rows[0]), answers(rows[1], rows[2])
    device = folders.outputs(tmp_path / "device", there[rows], "emulated")
    agreed = folders.evidence(tmp_path / "agreed", measured.on_device(2, 3, 8, 1)[1])
    accuracy, out = measure(tmp_path / "m", here, answers(), device=device, agreement=agreed)
    assert (head(accuracy).lost, head(accuracy).won) == (2, 0)
    assert head(accuracy).device == evidence.Overlap(3, 8, 2, 1)
    with np.load(out / "hits.npz") as hits:
        assert [*np.flatnonzero(~hits["candidate"])] == sorted(rows[1:])


def test_answers_that_are_no_numbers_are_an_error_and_not_a_class(tmp_path: Path) -> None:
    broken = answers()
    broken[3, 1] = np.nan
    with pytest.raises(UsageError, match="NaN or infinite values"):
        measure(tmp_path, broken, answers())


def test_outputs_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"outputs of shape \[7, 3\] cannot be compared with 8 labels"):
        measure(tmp_path, answers()[:7], answers())
    with pytest.raises(StepError, match=r"outputs of shape \[8, 3, 1\]"):
        measure(tmp_path / "two", answers()[..., None], answers())


def test_each_class_has_its_own_counts_and_bounds_that_hold_for_all_classes(tmp_path: Path) -> None:
    """Examples 0, 3 and 6 are zeros; 1, 4, 7 and 2, 5 the two classes of one name; nothing is of the fourth."""
    accuracy, _ = measure(tmp_path, answers(0, 3, 2), answers(2, 7))
    classes = head(accuracy).classes
    assert {name: (c.n, c.lost, c.won) for name, c in classes.items()} == {
        "zero": (3, 2, 0), "same (1)": (3, 0, 1), "same (2)": (2, 0, 0),
    }  # fmt: skip
    assert classes["zero"].drop == pytest.approx(2 / 3)
    bound = paired.drop_bound(2, 0, 3, 1 - 0.05 / 3)
    assert (classes["zero"].low, classes["zero"].high) == (bound.low, bound.high)
    assert {c.confidence for c in classes.values()} == {1 - 0.05 / 3}


def test_slices_of_the_data_are_counted_too_and_may_overlap(tmp_path: Path) -> None:
    role, folder = folders.data(tmp_path / "sliced", LABELS)
    first, late = np.arange(8) < 3, np.arange(8) > 1
    dataset.describe(folder, [Head("output", "classification")], {"test": 8}, {"first": first, "late": late})
    accuracy, _ = measure(tmp_path, answers(0, 1, 2), answers(7), data=(role, folder))
    assert {name: (s.n, s.lost, s.won) for name, s in head(accuracy).slices.items()} == {
        "first": (3, 3, 0), "late": (6, 1, 1),
    }  # fmt: skip
    assert head(measure(tmp_path / "without", answers(), answers())[0]).slices == {}


def test_examples_of_groups_are_told_with_how_they_count(tmp_path: Path) -> None:
    data = folders.data(tmp_path / "grouped data", LABELS)[1]
    assert head(measure(tmp_path / "alone", answers(0, 1), answers())[0]).together is None
    dataset.write_groups(data, "test", np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    grouped = head(measure(tmp_path / "grouped", answers(0, 1), answers(), data=("data", data))[0])
    assert grouped.together is not None
    assert grouped.together.groups == 2
    assert grouped.together.effect > 2  # both were lost of one group of four
    assert all(group.together is not None for group in grouped.classes.values())
