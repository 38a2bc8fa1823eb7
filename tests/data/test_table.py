"""Rows of CSV files: columns by input, words by name, texts by vocabulary, splits and slices by column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec import dataset, notes
from tests.data.conftest import Load

HEAD = """\
description = "x"
labels = ["cat", "dog"]
source = {use = "onnx", file = "x.onnx"}
[[inputs]]
name = "facts"
shape = [3]
"""
TABLE = '[data]\nuse = "table"\nfile = "../../rows.csv"\nlabel = "kind"\n'
COLOURS = 'categories = {colour = ["red", "green"]}\n'


def write(folder: Path, rows: list[str], name: str = "rows.csv") -> None:
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


def animals(count: int = 40, more: str = "", column: str = "") -> list[str]:
    rows = [
        f"{k},{k / 2},{'red' if k % 2 else 'green'},{'dog' if k % 4 else 'cat'}{more.format(k % 3)}"
        for k in range(count)
    ]
    return [f"weight,height,colour,kind{column}", *rows]


def test_all_other_columns_are_the_input_and_classes_go_by_name(load: Load, tmp_path: Path) -> None:
    write(tmp_path, animals())
    out = load(TABLE + COLOURS, HEAD)
    assert dataset.examples(out) == {"train": 29, "validation": 3, "test": 8}
    (values,), (labels,) = dataset.read(out, "train").inputs, dataset.read(out, "train").labels
    for (weight, height, colour), label in zip(np.asarray(values), labels, strict=True):
        assert (height, colour, label) == (weight / 2, 1 - weight % 2, int(weight % 4 > 0))
    assert notes.read(out)[0].startswith("the data has no test or validation split: 40 examples are cut at random")


def test_columns_are_named_for_each_input_and_a_column_says_split_and_slice(load: Load, tmp_path: Path) -> None:
    rows = animals(30, ",{0}", ",split,place")
    names = ["train", "valid", "test"]
    rows[1:] = [f"{row[:-2]},{names[int(row[-1])]},{'home' if k % 2 else ''}" for k, row in enumerate(rows[1:])]
    write(tmp_path, [row.replace(",", ";") for row in rows])
    head = HEAD.replace("[3]", "[2]") + '[[inputs]]\nname = "colours"\nshape = [1]\ndtype = "int64"\n'
    columns = 'columns = {facts = ["height", "weight"], colours = ["colour"]}\n'
    out = load(TABLE + columns + COLOURS + 'split = "split"\nslice = "place"\nseparator = ";"\n', head)
    assert dataset.examples(out) == {"train": 10, "validation": 10, "test": 10}
    assert not dataset.is_cut(out)
    facts, colours = dataset.read(out, "test").inputs
    assert facts[:2].tolist() == [[1, 2], [2.5, 5]]
    assert (colours.dtype, colours[:2].tolist()) == (np.int64, [[1], [0]])
    assert {name: mask.sum() for name, mask in dataset.slices(out).items()} == {"home": 5}


def test_values_are_learnt_from_a_column_of_numbers(load: Load, tmp_path: Path) -> None:
    write(tmp_path, [row.replace(",", "\t") for row in animals()], "rows.tsv")
    head = HEAD.replace('labels = ["cat", "dog"]', 'outputs = 1\ntask = "regression"')
    lines = TABLE.replace(".csv", ".tsv").replace('"kind"', '"height"')
    out = load(lines + 'categories = {colour = ["red", "green"], kind = ["cat", "dog"]}\n', head)
    test = dataset.read(out, "test")
    assert test.labels[0][:, 0] == pytest.approx(np.asarray(test.inputs[0])[:, 0] / 2)


VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly", "!"]
TEXT = '[preprocess]\nkind = "wordpiece"\nvocabulary = "vocab.txt"\nlength = 6\n'
TEXTS = """\
description = "x"
labels = ["cat", "dog"]
source = {use = "onnx", file = "x.onnx"}
[[inputs]]
name = "attention_mask"
shape = [6]
dtype = "int64"
[[inputs]]
name = "input_ids"
shape = [6]
dtype = "int64"
"""


def test_texts_become_the_inputs_that_the_vocabulary_makes(load: Load, tmp_path: Path) -> None:
    write(tmp_path, ["text,kind", *['"Badly, bad!",dog', "good,cat"] * 10])
    (tmp_path / "models" / "m").mkdir(parents=True)
    write(tmp_path / "models" / "m", VOCABULARY, "vocab.txt")
    out = load(TEXT + TABLE + 'text = "text"\n', TEXTS)
    mask, ids = dataset.read(out, "test").inputs
    labels = dataset.read(out, "test").labels[0]
    expected = np.where(labels[:, None] == 1, [[2, 5, 6, 1, 5, 3]], [[2, 4, 3, 0, 0, 0]])
    assert np.array_equal(ids, expected)
    assert np.array_equal(mask, np.where(labels[:, None] == 1, 1, [[1, 1, 1, 0, 0, 0]]))
    assert [path.name for path in dataset.files(out)] == ["vocab.txt"]  # a bundle carries it
    assert np.load(out / "test.1.npy").dtype == np.int32


KEY = "models/m/model.toml: data"


def test_what_is_no_table_of_these_columns_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path, animals())
    assert refused(TABLE.replace('"kind"', '"kinds"'), HEAD).startswith(
        f"{KEY}.label: '../../rows.csv' has no column 'kinds' (did you mean 'kind'"
    )
    assert refused(TABLE, HEAD).startswith(
        f"{KEY}.file: '../../rows.csv' line 2 has 'green' in column 'colour', which is no number (name its words: "
    )
    assert refused(TABLE + COLOURS.replace("red", "blue"), HEAD).startswith(
        f"{KEY}.file: '../../rows.csv' line 3 has 'red' in column 'colour' ("
    )
    write(tmp_path, [*animals(), "1,2"])
    assert refused(TABLE, HEAD) == f"{KEY}.file: '../../rows.csv' line 42 has 2 columns, the first line 4"
    write(tmp_path, animals()[:1])
    assert refused(TABLE, HEAD) == f"{KEY}.file: '../../rows.csv' has no rows"


def test_examples_of_one_group_are_in_one_split(load: Load, refused: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path, animals(60, ",p{0}", ",person"))
    groups = COLOURS + 'group = "person"\n'
    out = load(TABLE + groups, HEAD)  # three people
    own = {split: {*dataset.groups(out, split).tolist()} for split in ("train", "validation", "test")}  # type: ignore[union-attr]
    assert sorted(map(len, own.values())) == [1, 1, 1]
    assert len(set().union(*own.values())) == 3
    weights = np.asarray(dataset.read(out, "test").inputs[0])[:, 0]
    assert len({*(weights % 3)}) == 1  # p0, p1, p2 in turn
    assert notes.read(out)[0].endswith("and no group is in two of them")
    rows = animals(60, ",p{0}", ",person,split")
    rows[1:] = [f"{row},{['train', 'test'][k % 2]}" for k, row in enumerate(rows[1:])]
    write(tmp_path, rows)
    told = refused(TABLE + groups + 'split = "split"\n', HEAD)
    assert "the group 'p0' is in split 'train' and in 'test'" in told
    write(tmp_path, animals(60, ",p", ",person"))
    assert refused(TABLE + groups, HEAD).endswith("has 1 group, and one more is needed to choose by")


def test_whole_numbers_are_exact_and_others_are_refused(
    load: Load, refused: Callable[..., str], tmp_path: Path
) -> None:
    head = HEAD.replace("[3]", '[1]\ndtype = "int64"')
    write(tmp_path, ["id,kind", *[f"{2**24 + 1 + k},{'cat' if k % 2 else 'dog'}" for k in range(20)]])
    values = np.asarray(dataset.read(load(TABLE, head), "train").inputs[0])[:, 0]
    assert {*values.tolist()} < {*range(2**24 + 1, 2**24 + 21)}  # float32 has every second of them
    write(tmp_path, ["id,kind", *[f"{k}.5,{'cat' if k % 2 else 'dog'}" for k in range(20)]])
    assert refused(TABLE, head).startswith(f"{KEY}.columns: '../../rows.csv' line 2 has 0.5, and input 'facts' takes")


def test_a_table_of_many_lines_is_read_in_pieces(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebuild.data import _column_inputs, table

    seen, real = list[int](), _column_inputs.Inputs._values
    monkeypatch.setattr(table, "_ROWS", 7)
    monkeypatch.setattr(_column_inputs.Inputs, "_values", lambda *own: (seen.append(len(own[-1])), real(*own))[1])
    write(tmp_path, animals())
    out = load(TABLE + COLOURS, HEAD)
    assert max(seen) == 7
    assert dataset.examples(out) == {"train": 29, "validation": 3, "test": 8}


def test_what_spreadsheets_write_is_understood_or_told(load: Load, refused: Callable[..., str], tmp_path: Path) -> None:
    file = f"{KEY}.file: '../../rows.csv'"
    write(tmp_path, [*animals(), "", ""])
    assert sum(dataset.examples(load(TABLE + COLOURS, HEAD)).values()) == 40
    write(tmp_path, [*animals(), "", "1,2,red,dog"])
    assert refused(TABLE + COLOURS, HEAD) == f"{file} line 42 has 0 columns, the first line 4"
    write(tmp_path, [row.replace(",", ";") for row in animals()])
    one = "'../../rows.csv' has one column, 'weight;height;colour;kind'"
    assert refused(TABLE + COLOURS, HEAD) == f'{KEY}.separator: {one} (separator = ";")'
    for cell in ("nan", "inf", "1e999"):
        write(tmp_path, [*animals(), f"1,{cell},red,dog"])
        told = f"line 42 has {float(cell)} in column 'height' (fill in such cells, or leave their rows out)"
        assert refused(TABLE + COLOURS, HEAD) == f"{file} {told}"
    (tmp_path / "rows.csv").write_bytes("\n".join(animals()).replace("green", "grün").encode("latin-1"))
    assert refused(TABLE, HEAD) == f"{file} is no text in UTF-8: byte 0xfc at 34 (save it in UTF-8)"


@pytest.mark.parametrize(
    ("count", "more", "told"),
    [
        (0, "", "has no rows"),
        (1, "", "has 1 example, and 3 are needed: one to learn from, and test and validation"),
        (2, "", "has 2 examples, and 3 are needed: one to learn from, and test and validation"),
        (40, "test = 0.97\n", "leaves 1 of 40 examples to learn from and choose by (test = 0.97)"),
    ],
)
def test_too_few_rows_are_counted(
    refused: Callable[..., str], tmp_path: Path, count: int, more: str, told: str
) -> None:
    write(tmp_path, [row.replace("cat", "dog") for row in animals(count)])
    assert refused(TABLE + more + COLOURS, HEAD) == f"{KEY}.file: '../../rows.csv' {told}"
