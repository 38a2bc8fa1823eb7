"""The classes of a TFLite file are those of the file of labels that its metadata carries, a zip archive behind it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgebuild.formats import _tflite_look
from tests.formats.lite import file


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    (tmp_path / "m.tflite").write_bytes(file("LOGISTIC", [(1, 3)], (1, 3)))
    return tmp_path / "m.tflite"


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        ({}, ()),
        ({"labels.txt": b"cat\nd\xc3\xb6g\n\n"}, ("cat", "dög")),
        ({"labels.txt": b"cat\ndog", "vocab.txt": b"a"}, ("cat", "dog")),
        ({"labels.txt": b"cat\ndog", "labels_de.txt": b"Katze\nHund"}, ()),
        ({"labels.txt": b"\xff\xfe"}, ()),
        ({"labelmap.json": b"[]"}, ()),
    ],
)
def test_classes_are_read_where_one_file_names_them(
    bare: Path, files: dict[str, bytes], classes: tuple[str, ...]
) -> None:
    if files:
        with zipfile.ZipFile(bare, "a") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    assert _tflite_look.look(bare).classes == classes
