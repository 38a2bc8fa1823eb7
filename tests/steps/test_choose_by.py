"""The data that a search measures by: validation examples in the place of those that judge, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebuild.spec import dataset
from edgebuild.steps.choose_by import ChooseBy
from tests import tiny


def chosen(data: Path, folder: Path) -> Path:
    return tiny.perform(ChooseBy(), folder, {"data": ("data", data)})


def test_validation_examples_stand_where_those_stood_that_judge(made: tiny.Made, tmp_path: Path) -> None:
    data = made["data"]
    folder = chosen(data, tmp_path / "chosen")
    own, validation = dataset.read(folder, "test"), dataset.read(data, "validation")
    assert len(own) == len(validation) == 48
    assert np.array_equal(own.inputs[0][:], validation.inputs[0][:])
    assert np.array_equal(own.labels[0], validation.labels[0])
    assert dataset.heads(folder) == dataset.heads(data)


def test_nothing_of_other_examples_is_there(made: tiny.Made, tmp_path: Path) -> None:
    folder = chosen(made["data"], tmp_path / "chosen")
    assert {path.name.partition(".")[0] for path in folder.iterdir()} == {"test", "data"}
    assert dataset.examples(folder) == {"test": 48}
    assert dataset.slices(folder) == {}


def test_slices_are_of_the_examples_that_judge_and_groups_go_along(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, count in (("validation", 3), ("test", 4)):
        dataset.write_inputs(data, name, (np.zeros((count, 2), np.float32),))
        dataset.write_labels(data, name, (np.zeros(count, np.int64),), dataset.heads(data))
        dataset.write_groups(data, name, np.arange(count))
    slices = {"dark": np.ones(4, bool)}
    dataset.describe(data, dataset.heads(data), {"train": 0, "validation": 3, "test": 4}, slices)
    folder = chosen(data, tmp_path / "chosen")
    groups = dataset.groups(folder, "test")
    assert groups is not None
    assert (groups.tolist(), dataset.slices(folder)) == ([0, 1, 2], {})
