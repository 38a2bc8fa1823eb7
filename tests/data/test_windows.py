"""Recordings cut into windows: as long as declared, of one recording and one class each, people never in two splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.spec import dataset, notes
from tests.data.conftest import Load

Refused = Callable[..., str]

HEAD = """\
description = "x"
labels = ["walk", "run"]
source = {use = "onnx", file = "x.onnx"}
[[inputs]]
name = "motion"
shape = [2, 1, 8]
"""
HOW = '[preprocess]\nkind = "window"\nsignals = ["a", "b"]\nlength = 8\nstd = [1, 2]\nshape = [2, 1, 8]\n'
DATA = HOW + '[data]\nuse = "windows"\nfiles = "../../recordings"\nstride = 4\n'
COLUMNS = DATA + 'label = "what"\n'
PEOPLE = COLUMNS + 'group = "who"\n'


def samples(count: int, start: int = 0, what: str = "walk", who: str = "p0") -> list[str]:
    """The first signal counts on, the second is twice as much."""
    return [f"{k},{2 * k},{what},{who}" for k in range(start, start + count)]


def write(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["a,b,what,who", *rows]) + "\n")


def people(folder: Path, count: int = 6) -> None:
    """A file each, walking and then running."""
    for k in range(count):
        rows = samples(20, 100 * k, "walk", f"p{k}") + samples(20, 100 * k + 20, "run", f"p{k}")
        write(folder / f"{k}.csv", rows)


def starts(out: Path, split: dataset.SplitName) -> list[int]:
    """The first sample of each window, each of which goes on from there."""
    values = np.asarray(dataset.read(out, split).inputs[0])
    assert values.shape[1:] == (2, 1, 8)
    assert np.array_equal(values[:, 0], values[:, 1])  # scaled by its deviation
    assert (np.diff(values[:, 0, 0]) == 1).all()
    return [int(value) for value in values[:, 0, 0, 0]]


def together(own: dict[dataset.SplitName, list[int]]) -> list[int]:
    return sorted(start for values in own.values() for start in values)


SPLITS: tuple[dataset.SplitName, ...] = ("train", "validation", "test")


def test_windows_are_of_one_class_and_people_in_one_split(load: Load, tmp_path: Path) -> None:
    people(tmp_path / "recordings")
    out = load(PEOPLE, HEAD)
    own = {split: starts(out, split) for split in SPLITS}
    each = [*range(0, 13, 4), *range(20, 33, 4)]  # none reaches from 19 to 20
    assert sorted(start for values in own.values() for start in values) == [
        100 * k + start for k in range(6) for start in each
    ]
    assert {split: len({start // 100 for start in values}) for split, values in own.items()} == {
        "train": 3,
        "validation": 1,
        "test": 2,
    }
    for split in SPLITS:
        labels = dataset.read(out, split).labels[0]
        assert labels.tolist() == [int(start % 100 >= 20) for start in own[split]]
        groups = dataset.groups(out, split)
        assert groups is not None
        assert groups.tolist() == [start // 100 for start in own[split]]
    assert notes.read(out)[0] == "48 windows of 6 groups in 6 files"


def test_one_long_file_is_read_in_pieces(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebuild.data import table

    monkeypatch.setattr(table, "_ROWS", 5)  # fewer than a window has
    rows = [row for k in range(6) for row in samples(33, 100 * k, "walk" if k % 2 else "run", f"p{k}")]
    write(tmp_path / "recordings.csv", rows)
    out = load(PEOPLE.replace('recordings"', 'recordings.csv"').replace("stride = 4", "stride = 11"), HEAD)
    each = sorted(start for split in SPLITS for start in starts(out, split))
    assert each == [100 * k + start for k in range(6) for start in (0, 11, 22)]


def test_without_people_recordings_stay_together_and_folders_are_classes(load: Load, tmp_path: Path) -> None:
    for k in range(8):
        write(tmp_path / "recordings" / ("run" if k % 2 else "walk") / f"{k}.csv", samples(24, 100 * k))
    out = load(DATA, HEAD)
    own = {split: starts(out, split) for split in SPLITS}
    files = {split: {start // 100 for start in values} for split, values in own.items()}
    assert sum(map(len, files.values())) == 8 == len(set().union(*files.values()))
    assert dataset.read(out, "train").labels[0].tolist() == [start // 100 % 2 for start in own["train"]]


def test_splits_are_folders_or_a_column(load: Load, tmp_path: Path) -> None:
    for k, split in enumerate(("train", "train", "val", "test")):
        write(tmp_path / "recordings" / split / "walk" / f"{k}.csv", samples(16, 100 * k))
        write(tmp_path / "recordings" / split / "run" / f"{k}.csv", samples(16, 1000 + 100 * k))
    out = load(DATA, HEAD)
    assert dataset.examples(out) == {"train": 12, "validation": 6, "test": 6}
    assert {start // 100 for start in starts(out, "test")} == {3, 13}
    assert not dataset.is_cut(out)


def test_arrays_of_an_npz_are_columns(load: Load, tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    for k in range(6):
        x = np.arange(24.0)[:, None] * [1, 2] + [100 * k, 200 * k]
        np.savez(tmp_path / "recordings" / f"{k}.npz", x=x, what=np.array("run" if k % 2 else "walk"), who=k // 2)
    out = load(PEOPLE.replace('["a", "b"]', '["x.0", "x.1"]'), HEAD)
    own = {split: starts(out, split) for split in SPLITS}
    assert sorted(start for values in own.values() for start in values) == [
        100 * k + start for k in range(6) for start in (0, 4, 8, 12, 16)
    ]
    assert sorted(len({start // 200 for start in values}) for values in own.values()) == [1, 1, 1]
    assert dataset.read(out, "train").labels[0].tolist() == [start // 100 % 2 for start in own["train"]]


def test_a_value_is_that_of_the_last_sample(load: Load, tmp_path: Path) -> None:
    for k in range(4):
        write(tmp_path / "recordings" / f"{k}.csv", samples(20, 100 * k))
    head = HEAD.replace('labels = ["walk", "run"]', 'outputs = 1\ntask = "regression"')
    out = load(COLUMNS.replace('"what"', '"a"'), head)
    assert dataset.read(out, "test").labels[0][:, 0].tolist() == [start + 7 for start in starts(out, "test")]


def test_windows_are_prepared_as_the_bundle_prepares_a_file(load: Load, tmp_path: Path) -> None:
    from edgebuild.spec.preprocess import WindowInput
    from edgebuild.travels import prepare_window

    how = WindowInput("window", ("b", "a"), 8, (1.0, 2.0), (2.0,), time_first=True)
    write(tmp_path / "x.csv", samples(9))
    (values,) = prepare_window.read_prepared(tmp_path / "x.csv", how.json())
    assert values.shape == (1, 8, 2)
    assert values[0, 3].tolist() == [(6 - 1) / 2, (3 - 2) / 2]
    assert np.array_equal(how.fit(how.read(tmp_path / "x.csv"))[0], values[0])
    with pytest.raises(ValueError, match="has 9 samples, and a window has 10"):
        WindowInput("window", ("a",), 10).fit(how.read(tmp_path / "x.csv"))
    for wrong in ({"mean": (1.0, 2.0, 3.0)}, {"shape": (8, 2)}, {"signals": ("a", "a")}):
        fields: dict[str, Any] = {"signals": ("a", "b"), "length": 8} | wrong
        with pytest.raises(ValueError, match=next(iter(wrong))):
            WindowInput("window", **fields)


KEY = "models/m/model.toml: data"


def test_what_makes_no_windows_is_refused(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(folder / "0.csv", samples(7))
    assert (
        refused(PEOPLE, HEAD)
        == f"{KEY}.files: '../../recordings' has no recording of 8 samples, which one window needs"
    )
    write(folder / "0.csv", samples(40))
    assert refused(PEOPLE, HEAD).startswith(f"{KEY}.files: '../../recordings' has 1 group, and one more is needed")
    people(folder)
    told = refused(PEOPLE.replace('["a", "b"]', '["a", "c"]'), HEAD)
    assert told == "models/m/model.toml: preprocess.signals: '0.csv' has no column 'c' (known: a, b, what, who)"
    assert refused(PEOPLE.replace('"who"', '"whom"'), HEAD).startswith(f"{KEY}.group: '0.csv' has no column 'whom'")
    assert refused(PEOPLE.replace('"what"', '"who"', 1), HEAD).startswith(f"{KEY}.label: 'p0' is a label of no class")
    write(folder / "3.csv", [*samples(20), "x,1,walk,p3", *samples(20)])
    assert refused(PEOPLE, HEAD).startswith(f"{KEY}.files: '3.csv' line 22 has 'x' in column 'a', which is no number")
    write(folder / "3.csv", [*samples(20, who="p3"), "nan,1,walk,p3", *samples(20, who="p3")])
    assert refused(PEOPLE, HEAD).startswith(f"{KEY}.files: '3.csv' line 22 has nan in column 'a' (fill in such cells")
    np.savez(folder / "3.npz", a=np.zeros(9), b=np.zeros(8), what="run", who="p3")
    (folder / "3.csv").unlink()
    assert "'3.npz' has 8 values of 'b', and 9 samples" in refused(PEOPLE, HEAD)
    (folder / "3.npz").write_bytes(b"PK")
    assert "'3.npz' is no .npz of named arrays" in refused(PEOPLE, HEAD)
    assert "says what a window is" in refused(PEOPLE.removeprefix(HOW), HEAD)
