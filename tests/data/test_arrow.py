"""Parquet files and folders of Hugging Face's `datasets`: columns as a table's, lists and pictures, read in pieces."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgebuild.spec import dataset, notes
from tests.data.conftest import HEAD as PICTURES
from tests.data.conftest import PREPROCESS, Load
from tests.data.test_table import COLOURS, HEAD

pa = pytest.importorskip("pyarrow", reason="pyarrow is an extra")

Refused = Callable[..., str]
PARQUET = '[data]\nuse = "parquet"\nfile = "../../rows.parquet"\nlabel = "kind"\n'
FOLDER = '[data]\nuse = "datasets"\nfolder = "../../saved"\nlabel = "kind"\n'
VECTOR = HEAD.replace("facts", "vector")


def animals(count: int = 40) -> dict[str, Any]:
    numbers = np.arange(count)
    return {
        "weight": numbers.astype(np.int16),
        "height": (numbers / 2).astype(np.float32),
        "colour": pa.array(["red" if k % 2 else "green" for k in numbers]).dictionary_encode(),
        "kind": ["dog" if k % 4 else "cat" for k in numbers],
    }


def parquet(path: Path, columns: Any, rows: int = 16) -> None:
    from pyarrow import parquet

    path.parent.mkdir(exist_ok=True, parents=True)
    parquet.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, row_group_size=rows)


def saved(folder: Path, columns: Any, names: list[str] | None = None, shards: int = 2) -> None:
    """As `Dataset.save_to_disk` of datasets 5.2 leaves it."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if names:
        features = {"kind": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    folder.mkdir(parents=True)
    files = [f"data-{k:05}-of-{shards:05}.arrow" for k in range(shards)]
    size = -(-len(table) // shards)
    for place, name in enumerate(files):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.slice(place * size, size), max_chunksize=7)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}))


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (value, value, value)).save(file, "PNG")
    return file.getvalue()


def test_columns_of_a_parquet_file_are_those_of_a_table(load: Load, tmp_path: Path) -> None:
    parquet(tmp_path / "rows.parquet", animals())
    out = load(PARQUET + COLOURS, HEAD)
    assert dataset.examples(out) == {"train": 29, "validation": 3, "test": 8}
    (values,), (labels,) = dataset.read(out, "train").inputs, dataset.read(out, "train").labels
    for (weight, height, colour), label in zip(np.asarray(values), labels, strict=True):
        assert (height, colour, label) == (weight / 2, 1 - weight % 2, int(weight % 4 > 0))


def test_files_that_are_named_for_splits_are_these(load: Load, tmp_path: Path) -> None:
    table = pa.table(animals())
    parquet(tmp_path / "rows" / "train-00000-of-00002.parquet", table.slice(0, 10))
    parquet(tmp_path / "rows" / "train-00001-of-00002.parquet", table.slice(10, 10))
    parquet(tmp_path / "rows" / "validation.parquet", table.slice(20, 5))
    parquet(tmp_path / "rows" / "test-00000-of-00001.parquet", table.slice(25))
    (tmp_path / "rows" / "README.md").write_text("about it")
    out = load(PARQUET.replace("rows.parquet", "rows") + COLOURS, HEAD)
    assert dataset.examples(out) == {"train": 20, "validation": 5, "test": 15}
    assert np.asarray(dataset.read(out, "train").inputs[0])[:, 0].tolist() == [*range(20)]
    assert not dataset.is_cut(out)


def test_a_list_in_a_column_is_an_input_of_its_own(load: Load, tmp_path: Path) -> None:
    rows = np.arange(120, dtype=np.uint8).reshape(40, 3)
    lists = {"ragged": [*rows.tolist()], "fixed": pa.FixedSizeListArray.from_arrays(rows.reshape(-1), 3)}
    for name, values in lists.items():
        parquet(tmp_path / "rows.parquet", {"vector": pa.array(values), "kind": animals()["kind"]})
        out = load(PARQUET, VECTOR)
        first = np.asarray(dataset.read(out, "train").inputs[0])
        assert sorted(first[:, 0] % 3) == [0.0] * 29, name
        assert (first[:, 2] - first[:, 0] == 2).all()


def test_pixels_in_lists_stay_bytes(load: Load, tmp_path: Path) -> None:
    pixels = np.arange(40 * 48, dtype=np.uint8).reshape(40, 4, 4, 3)
    nested = pa.array(pixels.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()))))
    parquet(tmp_path / "rows.parquet", {"image": nested, "kind": animals()["kind"]})
    out = load(PREPROCESS + PARQUET, PICTURES)
    assert np.load(out / "train.0.npy").dtype == np.uint8
    test = np.asarray(dataset.read(out, "test").inputs[0])
    channels_first = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    assert all((np.abs(channels_first - one).max((1, 2, 3)) < 1e-6).any() for one in test)


@pytest.mark.parametrize("struct", [True, False])
def test_pictures_in_a_column_are_prepared(load: Load, tmp_path: Path, struct: bool) -> None:
    files = [png(k) for k in range(40)]
    column = pa.array([{"bytes": file, "path": None} for file in files]) if struct else pa.array(files, pa.binary())
    saved(tmp_path / "saved", {"image": column, "kind": animals()["kind"]})
    out = load(PREPROCESS + FOLDER + 'picture = "image"\n', PICTURES)
    train = dataset.read(out, "train")
    values = np.rint(np.asarray(train.inputs[0])[:, 0, 0, 0] * 255)
    assert train.labels[0].tolist() == [int(value % 4 > 0) for value in values]
    assert len({*values}) == 29


def test_splits_of_a_folder_and_names_of_its_classes(load: Load, tmp_path: Path) -> None:
    """Their order in the data is another than in the model: names decide, not numbers."""
    numbers = np.arange(20)
    columns = {"weight": numbers, "height": numbers / 2, "colour": numbers % 2, "kind": (numbers % 4 == 0).astype(int)}
    for name in ("train", "test", "other"):
        saved(tmp_path / "saved" / name, columns, names=["dog", "cat"])
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test", "other"]}')
    out = load(FOLDER, HEAD)
    assert dataset.examples(out) == {"train": 18, "validation": 2, "test": 20}
    test = dataset.read(out, "test")
    assert test.labels[0].tolist() == [int(k % 4 > 0) for k in range(20)]  # cat is 0 in model.toml
    assert notes.read(out)[0] == "splits of the data that have no use here are left out: other"


def test_rows_without_labels_are_kept_as_such(load: Load, tmp_path: Path) -> None:
    table = pa.table(animals())
    saved(tmp_path / "saved" / "train", table)
    saved(tmp_path / "saved" / "unlabelled", table.drop(["kind"]))
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "unlabelled"]}')
    columns = 'columns = {facts = ["weight", "height", "colour"]}\n'
    assert dataset.examples(load(FOLDER + columns + COLOURS, HEAD))["unlabelled"] == 40


def test_memory_holds_some_rows_at_a_time(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebuild.data import _arrow

    seen, real = list[int](), _arrow._values
    monkeypatch.setattr(_arrow, "_BYTES", 4096)
    monkeypatch.setattr(_arrow, "_values", lambda cells: (seen.append(len(cells)), real(cells))[1])
    vectors = pa.array(np.zeros((40, 300), np.float32).tolist(), pa.list_(pa.float32()))
    parquet(tmp_path / "rows.parquet", {"vector": vectors, "kind": animals()["kind"]}, rows=40)
    load(PARQUET, VECTOR.replace("[3]", "[300]"))
    assert sum(len_ for len_ in seen if len_ <= 3) > 100  # 1200 bytes a row


def test_a_file_runs_no_code_that_it_names(refused: Refused, tmp_path: Path) -> None:
    """Old pyarrow had extension types that were pickles."""
    import pickle

    class Code:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    marks = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Code())}
    field = pa.field("weight", pa.int64(), metadata=marks)
    schema = pa.schema([field, pa.field("kind", pa.string())])
    saved(tmp_path / "saved", pa.table([pa.array([1] * 40), pa.array(["cat", "dog"] * 20)], schema=schema))
    assert "input 'facts' has shape" in refused(FOLDER, HEAD)
    assert not (tmp_path / "ran").exists()


KEY = "models/m/model.toml: data"


def test_what_lacks_columns_or_values_is_refused(refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    parquet(file, animals())
    assert refused(PARQUET.replace('"kind"', '"kinds"'), HEAD).startswith(
        f"{KEY}.label: '../../rows.parquet' has no column 'kinds' (did you mean 'kind'"
    )
    assert refused(PARQUET + 'columns = {facts = ["weight", "width"]}\n', HEAD).startswith(
        f"{KEY}.columns: '../../rows.parquet' has no column 'width'"
    )
    assert refused(PARQUET, HEAD).startswith(
        f"{KEY}.file: '../../rows.parquet' row 0 has 'green' in column 'colour', which is no number (name its words: "
    )
    parquet(file, animals() | {"colour": [None, *[1.0] * 39]})
    assert refused(PARQUET, HEAD) == f"{KEY}.file: '../../rows.parquet' row 0 has no value in column 'colour'"
    parquet(file, animals() | {"colour": [1.0] * 20 + [float("nan")] * 20})
    told = "row 20 has nan in column 'colour' (fill in such cells, or leave their rows out)"
    assert refused(PARQUET, HEAD) == f"{KEY}.file: '../../rows.parquet' {told}"
    parquet(file, {"vector": [[1, 2, 3]] * 30 + [[1, 2]] * 10, "kind": animals()["kind"]})
    assert refused(PARQUET, VECTOR).startswith(
        f"{KEY}.file: '../../rows.parquet' row 30 has 2 values, and the rows before it have 3 in column 'vector'"
    )
    parquet(file, {"vector": [[1, 2, 3]] * 40, "kind": np.arange(40)})
    assert "39" in refused(PARQUET, VECTOR)  # two classes
    parquet(file, pa.table(animals()).slice(0, 0))
    assert refused(PARQUET + COLOURS, HEAD) == f"{KEY}.file: '../../rows.parquet' has no rows"


def test_what_cannot_be_read_is_refused(refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    parquet(file, animals())
    whole = file.read_bytes()
    for content in (b"", b"PAR1", whole[:-20], whole[:200] + bytes(300) + whole[500:]):
        file.write_bytes(content)
        assert refused(PARQUET + COLOURS, HEAD).startswith(f"{KEY}.file: "), content[:9]
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "x.arrow").write_bytes(b"x")
    assert refused(FOLDER, HEAD).startswith(f"{KEY}.folder: '../../saved' is no folder of save_to_disk")
    (tmp_path / "saved" / "state.json").write_text('{"_data_files": [{"filename": "../../etc"}]}')
    assert "names '../../etc', which is not in the folder" in refused(FOLDER, HEAD)
    (tmp_path / "saved" / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}')
    assert refused(FOLDER, HEAD).startswith(f"{KEY}.folder: 'x.arrow' of '../../saved' cannot be read: ")


def test_a_cell_that_is_no_picture_is_named(refused: Refused, tmp_path: Path) -> None:
    files = [png(k) for k in range(39)]
    parquet(tmp_path / "rows.parquet", {"image": pa.array([*files, b"no"], pa.binary()), "kind": animals()["kind"]})
    lines = PREPROCESS + PARQUET + 'picture = "image"\n'
    assert "row 39 has in column 'image' no picture that can be read" in refused(lines, PICTURES)
    assert refused(PARQUET + 'picture = "image"\n', PICTURES).startswith("models/m/model.toml: preprocess: says how")
