"""What every kind of package owes: the same bytes, whole or not at all, and only of a bundle that is released."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.bundle import manifest
from edgebuild.bundle.kind import KINDS
from tests.bundle.kinds.conftest import Package, contents, record, run

ONNX_ONLY = ("triton",)


@pytest.fixture(params=KINDS.names())
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind that there is."""
    name: str = request.param
    return name


@pytest.fixture
def bundle(kind: str, lite: Path, onnx: Path) -> Path:
    """A bundle that can be of this kind."""
    return onnx if kind in ONNX_ONLY else lite


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Puts the local time hours ahead until the test ends."""

    def ahead() -> None:
        monkeypatch.setenv("TZ", "XXX-05:30" if time.timezone != -19800 else "UTC")
        time.tzset()

    yield ahead
    monkeypatch.undo()
    time.tzset()


def test_the_same_bundle_gives_the_same_bytes(
    kind: str, bundle: Path, package: Package, tmp_path: Path, clock: Callable[[], None]
) -> None:
    once = package(bundle, kind)
    again = shutil.copytree(bundle, tmp_path / "elsewhere" / "copy", copy_function=shutil.copy)
    clock()
    assert contents(package(again, kind)) == contents(once)


def test_it_records_what_it_was_made_of(kind: str, bundle: Path, package: Package) -> None:
    folder = package(bundle, kind, "--release", "1.4.0")
    said = record(folder)
    assert (said["kind"], said["status"], said["version"]) == (kind, "released", "1.4.0")
    assert said["bundle"] == "sha256:" + (bundle / "manifest.sha256").read_text().split()[0]
    assert {*said["files"]} == {*contents(folder)} - {"edgebuild.json"}


def candidate(bundle: Path, folder: Path) -> Path:
    copy = shutil.copytree(bundle, folder)
    manifest.seal(copy, replace(manifest.read_bundle(copy), status="candidate"))
    return copy


def test_one_that_is_not_released_is_refused_or_marked(
    kind: str, bundle: Path, package: Package, tmp_path: Path
) -> None:
    copy = candidate(bundle, tmp_path / "copy")
    code, told = run(copy, "--as", kind)
    assert (code, told.count("\n")) == (3, 1)
    assert "is a candidate, not released" in told
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    folder = package(copy, kind, "--unreleased")
    assert record(folder)["status"] == "candidate"
    assert ".dev0" in record(folder)["version"]


def test_a_damaged_bundle_is_refused_and_nothing_written(lite: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(lite, tmp_path / "copy")
    whole = (copy / "model.tflite").read_bytes()
    (copy / "model.tflite").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, told = run(copy, "--as", "c")
    assert code == 5, told
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_what_cannot_be_is_said_in_one_line_and_nothing_is_replaced_that_is_not_ours(
    lite: Path, onnx: Path, tmp_path: Path
) -> None:
    for arguments, word in (
        ((onnx, "--as", "c"), f"edgebuild: {onnx}: --as: is of onnx, and 'c' packages one tflite file"),
        ((lite, "--as", "zip"), "unknown kind of package 'zip'"),
        ((lite, "--as", "c", "--release", "v1"), "'v1' is no version"),
    ):
        code, told = run(*arguments, "--out", tmp_path / "out")
        assert (code, word in told, told.count("\n")) == (2, True, 1), told
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, told = run(lite, "--as", "c", "--out", tmp_path / "mine")
    assert (code, "edgebuild did not make it" in told) == (2, True)
    assert contents(tmp_path / "mine") == {"letter.txt": b"dear"}
