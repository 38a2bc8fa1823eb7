"""What two files share: all with themselves, little with a quantized one, the layers that a change left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgebuild.nn import checkpoint
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.work import Work
from edgebuild.steps.evidence.footprint import macs
from edgebuild.steps.evidence.shared import Shared, compare
from tests import tiny
from tests.steps.evidence import folders


def shared(made: tiny.Made, candidate: str, baseline: str, folder: Path) -> Any:
    inputs = {"candidate": (tiny.kind(candidate), made[candidate]), "baseline": (tiny.kind(baseline), made[baseline])}
    return folders.read(tiny.perform(Shared(), folder / "out", inputs))


@pytest.mark.parametrize("artifact", ["onnx", "tflite", "onnx-int8", "tflite-int8"])
def test_a_file_shares_all_with_itself(made: tiny.Made, tmp_path: Path, artifact: str) -> None:
    found = shared(made, artifact, artifact, tmp_path)
    assert (found["candidate"], found["baseline"]) == (1.0, 1.0)
    assert len({*found["operators"].values()}) == 1


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_integer_kernels_and_narrower_layers_are_other_work(made: tiny.Made, tmp_path: Path, name: str) -> None:
    for other in ("int8", "small"):
        found = shared(made, f"{name}-{other}", name, tmp_path / other)
        assert found["candidate"] < 0.1
        assert found["baseline"] < 0.1


@pytest.mark.parametrize("artifact", ["onnx", "tflite", "onnx-int8", "tflite-int8"])
def test_products_are_those_that_torch_counts(made: tiny.Made, artifact: str) -> None:
    work = FORMATS.get(tiny.kind(artifact))().work(made.file(artifact).read_bytes())
    assert sum(one.macs for one in work) == macs(checkpoint.load(made["float"]))


def test_the_smaller_share_of_products_and_bytes_is_taken_and_each_operator_counts_once() -> None:
    first, second = Work("a", 90, 10), Work("b", 10, 90)
    found = compare([first, second, first], [first, Work("c", 10, 90)])
    assert found["candidate"] == pytest.approx(10 / 110)  # of 90 / 190 products
    assert found["baseline"] == pytest.approx(0.1)
    assert found["operators"] == {"shared": 1, "candidate": 3, "baseline": 2}
    assert compare([], [first]) == {
        "candidate": 0.0,
        "baseline": 0.0,
        "operators": {"shared": 0, "candidate": 0, "baseline": 1},
    }
