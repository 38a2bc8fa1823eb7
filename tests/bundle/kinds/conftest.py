"""Bundles to package: a TFLite file of whole numbers inside and outside, and an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgebuild.cli import package as package_verb
from edgebuild.steps.techniques.int8 import Int8
from tests import tiny
from tests.bundle.test_assemble import PICTURE, assemble

Package = Callable[..., Path]


@pytest.fixture(scope="session")
def lite(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released bundle of a .tflite file that takes and gives int8; tests must not change it."""
    root = tmp_path_factory.mktemp("lite")
    inputs = {"model": ("tflite", made["tflite"]), "data": ("data", made["data"])}
    whole = tiny.perform(Int8(calibration=32, io="int8"), root / "int8", inputs)
    return assemble(made, root, "tflite", candidate=whole, answers=True, preprocess=PICTURE) / "bundle"


@pytest.fixture(scope="session")
def onnx(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released bundle of an .onnx file of floats; tests must not change it."""
    return assemble(made, tmp_path_factory.mktemp("onnx"), "onnx", answers=True) / "bundle"


def run(*arguments: str | Path) -> tuple[int, str]:
    """`edgebuild package ARGUMENTS`: its exit code and what it printed."""
    result = CliRunner().invoke(package_verb.command, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Packages a bundle as a kind into a folder of its own; the folder."""

    def make(bundle: Path, kind: str, *options: str) -> Path:
        out = tmp_path_factory.mktemp(kind) / "out"
        code, told = run(bundle, "--as", kind, "--out", out, *options)
        assert code == 0, told
        return out

    return make


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def record(folder: Path) -> Any:
    """What a package says that it was made of."""
    return json.loads((folder / "edgebuild.json").read_text())
