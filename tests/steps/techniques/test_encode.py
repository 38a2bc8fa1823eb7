"""The encode step on real files of both formats: the same file, and beside it a download that gives it again."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec.constant import Constant
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.techniques.encode import Encode
from edgebuild.travels import decoder
from tests import tiny

ARTIFACTS = ["tflite", "tflite-int8", "tflite-float16", "onnx", "onnx-int8", "onnx-float16"]


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_the_download_gives_the_file_again_and_is_smaller_than_by_xz(
    made: tiny.Made, artifact: str, tmp_path: Path
) -> None:
    kind, file = tiny.kind(artifact), made.file(artifact)
    out = tiny.perform(Encode(), tmp_path / "out", {"model": (kind, made[artifact])})
    assert {path.name for path in out.iterdir()} == {file.name, f"{file.name}.edz"}
    assert (out / file.name).read_bytes() == file.read_bytes()
    coded = (out / f"{file.name}.edz").read_bytes()
    assert decoder.decode(coded) == file.read_bytes()
    assert len(coded) < len(lzma.compress(file.read_bytes(), preset=9 | lzma.PRESET_EXTREME))


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_weights_are_found_in_the_file(made: tiny.Made, artifact: str) -> None:
    """All of them together are nearly all of the parameters; float weights are read as the elements they are."""
    content = made.file(artifact).read_bytes()
    found: list[Constant] = FORMATS.get(tiny.kind(artifact))().constants(content)
    assert all(0 <= one.start < one.end <= len(content) for one in found)
    widest = {"": 4, "int8": 1, "float16": 2}[artifact.partition("-")[2]]
    whole = [one for one in found if one.count == 9 * 64 * 64]
    assert len(whole) == 2
    assert {one.width for one in whole} == {widest}
    weights = np.frombuffer(content, f"<i{widest}", whole[0].count, whole[0].start)
    assert len(np.unique(weights)) > 20
    if widest == 4:
        real = weights.view(np.float32)
        assert 0.001 < np.abs(real).max() < 10


def test_two_of_the_same_make_the_same_bytes(made: tiny.Made, tmp_path: Path) -> None:
    given = {"model": ("onnx", made["onnx-int8"])}
    first, second = (tiny.perform(Encode(), tmp_path / name, given) for name in "ab")
    assert (first / "model.onnx.edz").read_bytes() == (second / "model.onnx.edz").read_bytes()
