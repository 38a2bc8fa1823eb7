"""Data sets on disk: what is written is read, without a copy; calibration draws are seeded and sorted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec import dataset, drawing
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head


def split(count: int, inputs: int = 1) -> Split:
    values = tuple(np.arange(count * 2, dtype=np.float32).reshape(count, 2) + 100 * k for k in range(inputs))
    return Split(values, (np.arange(count),))


def test_what_is_written_is_read_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    dataset.write(tmp_path, "train", split(3, inputs=12))
    found = dataset.read(tmp_path, "train")
    assert [int(values[:1][0, 0]) for values in found.inputs] == [100 * k for k in range(12)]
    assert found.labels[0].tolist() == [0, 1, 2]
    assert len(found) == 3
    assert isinstance(found.inputs[0][:].base, np.memmap)


def test_room_on_the_disk_is_there_before_it_is_filled(tmp_path: Path) -> None:
    """Where it cannot be had that is an OSError, and no SIGBUS later on."""
    dataset.room(tmp_path, "train", 0, (1000, 100), "float32")
    assert (tmp_path / "train.0.npy").stat().st_blocks * 512 >= 400_000


def test_columns_first_arrays_are_stored_rows_first(tmp_path: Path) -> None:
    dataset.write(tmp_path, "train", Split((np.asfortranarray(np.ones((4, 3))),), (np.zeros(4, np.int64),)))
    assert dataset.read(tmp_path, "train").inputs[0][:].flags.c_contiguous


def test_calibration_draws_the_same_examples_for_a_seed_and_all_when_there_are_fewer(tmp_path: Path) -> None:
    dataset.write(tmp_path, "train", split(50))
    draws = [dataset.calibration(tmp_path, 8, seed).labels[0].tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] == sorted(set(draws[0]))
    assert draws[0] != draws[2]
    assert dataset.calibration(tmp_path, 1000, 0).labels[0].tolist() == list(range(50))


def test_a_split_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dataset.read(tmp_path, "train")


def test_the_chosen_examples_are_drawn_at_random_always_the_same_and_fewer_are_among_more() -> None:
    few, many = drawing.chosen(2000, 50), drawing.chosen(2000, 500)
    assert few.tolist() == many[:50].tolist() == drawing.chosen(2000, 50).tolist()
    assert len(set(many.tolist())) == 500
    assert 850 < many.mean() < 1150  # of sorted examples every part is among them
    assert drawing.chosen(7, 7).tolist() == drawing.chosen(7, 9).tolist() == list(range(7))


def test_validation_examples_are_cut_in_proportion_to_the_classes_and_always_the_same() -> None:
    labels = np.repeat([0, 1, 2, 3], [500, 300, 196, 4])
    aside = drawing.set_aside(1000, labels)
    assert np.bincount(labels[aside]).tolist() == [50, 30, 20]
    assert drawing.set_aside(1000, labels).tolist() == aside.tolist()
    assert drawing.set_aside(1000, labels, seed=1).tolist() != aside.tolist()


def test_values_are_cut_at_random_and_classes_of_one_example_stay_where_others_can_go() -> None:
    assert drawing.set_aside(50).sum() == 5
    labels = np.array([0] * 28 + [1, 2])
    aside = drawing.set_aside(30, labels)
    assert aside.sum() == 3
    assert {1, 2} <= set(labels[~aside].tolist())
    assert drawing.set_aside(7, np.arange(7)).sum() == 1
    with pytest.raises(ValueError, match="1 example"):
        drawing.set_aside(1, np.zeros(1, np.int64))


def test_no_more_is_set_aside_than_decides_anything() -> None:
    labels = np.arange(100_000) % 10
    assert drawing.set_aside(100_000, labels).sum() == 5_000
    assert drawing.set_aside(100_000, labels, share=0.2, most=None).sum() == 20_000


HEADS = (Head("kind", "classification", (0,)), Head("place", "regression", (2,), weight=0.5, labels=()))


def several(count: int) -> Split:
    inputs = (np.arange(count, dtype=np.float32)[:, None],)
    return Split(inputs, (np.arange(count) % 3, np.ones((count, 2), np.float32)))


def test_labels_of_several_heads_are_kept_by_their_names(tmp_path: Path) -> None:
    dataset.write(tmp_path, "train", several(6), HEADS)
    dataset.describe(tmp_path, HEADS, {"train": 6}, {})
    assert dataset.heads(tmp_path) == HEADS
    kind, place = dataset.read(tmp_path, "train").labels
    assert (kind.tolist(), place.shape) == ([0, 1, 2, 0, 1, 2], (6, 2))
    some = dataset.read(tmp_path, "train").take(np.array([1, 4]))
    assert [values.tolist() for values in some.labels] == [[1, 1], [[1, 1], [1, 1]]]


def test_names_of_classes_are_no_part_of_the_data(tmp_path: Path) -> None:
    named = tuple(replace(head, labels=("a", "b", "c")) for head in HEADS)
    dataset.describe(tmp_path, named, {"train": 6}, {})
    assert dataset.heads(tmp_path) == HEADS


def test_examples_without_labels_have_for_each_head_what_stands_for_a_missing_one(tmp_path: Path) -> None:
    dataset.write(tmp_path, "train", several(3), HEADS)
    dataset.write_inputs(tmp_path, "unlabelled", (np.zeros((2, 1), np.float32),))
    dataset.describe(tmp_path, HEADS, {"train": 3}, {})
    kind, place = dataset.with_unlabelled(tmp_path, dataset.read(tmp_path, "train"), [-1, float("nan")]).labels
    assert kind.tolist() == [0, 1, 2, -1, -1]
    assert np.isnan(place).all(1).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(("described", "task"), [({}, "classification"), ({"task": "regression"}, "regression")])
def test_data_of_an_edgebuild_that_knew_one_output_has_one_head(
    tmp_path: Path, described: dict[str, str], task: str
) -> None:
    (tmp_path / "data.json").write_text(json.dumps({"examples": {"test": 3}} | described))
    dataset.write(tmp_path, "test", split(3))
    assert dataset.heads(tmp_path) == (Head("output", task),)
    assert len(dataset.read(tmp_path, "test").labels) == 1
