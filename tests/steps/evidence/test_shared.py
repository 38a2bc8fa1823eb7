"""What two files share: all with themselves, little with a quantized one, the layers that a change left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.nn import checkpoint
from edgebuild.spec.evidence import Operators, SharedWork
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.work import Work
from edgebuild.steps.evidence.footprint import macs
from edgebuild.steps.evidence.shared import Shared, compare
from tests import tiny
from tests.steps.evidence import folders


def shared(made: tiny.Made, candidate: str, baseline: str, folder: Path) -> SharedWork:
    inputs = {"candidate": (tiny.kind(candidate), made[candidate]), "baseline": (tiny.kind(baseline), made[baseline])}
    return folders.read(SharedWork, tiny.perform(Shared(), folder / "out", inputs))


@pytest.mark.parametrize("artifact", ["onnx", "tflite", "onnx-int8", "tflite-int8"])
def test_a_file_shares_all_with_itself(made: tiny.Made, tmp_path: Path, artifact: str) -> None:
    work = shared(made, artifact, artifact, tmp_path)
    assert (work.candidate, work.baseline) == (1.0, 1.0)
    assert work.operators.shared == work.operators.candidate == work.operators.baseline


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_integer_kernels_and_narrower_layers_are_other_work(made: tiny.Made, tmp_path: Path, name: str) -> None:
    for other in ("int8", "small"):
        work = shared(made, f"{name}-{other}", name, tmp_path / other)
        assert work.candidate < 0.1
        assert work.baseline < 0.1


@pytest.mark.parametrize("artifact", ["onnx", "tflite", "onnx-int8", "tflite-int8"])
def test_products_are_those_that_torch_counts(made: tiny.Made, artifact: str) -> None:
    work = FORMATS.get(tiny.kind(artifact))().work(made.file(artifact).read_bytes())
    assert sum(one.macs for one in work) == macs(checkpoint.load(made["float"]))


def test_the_smaller_share_of_products_and_bytes_is_taken_and_each_operator_counts_once() -> None:
    first, second = Work("a", 90, 10), Work("b", 10, 90)
    work = compare([first, second, first], [first, Work("c", 10, 90)])
    assert work.candidate == pytest.approx(10 / 110)  # of 90 / 190 products
    assert work.baseline == pytest.approx(0.1)
    assert work.operators == Operators(shared=1, candidate=3, baseline=2)
    assert compare([], [first]) == SharedWork(0.0, 0.0, Operators(shared=0, candidate=0, baseline=1))


def test_an_assembly_shares_nothing_that_could_be_told(made: tiny.Made, tmp_path: Path) -> None:
    file = ("tflite", made["tflite"])
    inputs = {"candidate/small": file, "candidate/large": file, "baseline": file}
    work = folders.read(SharedWork, tiny.perform(Shared(), tmp_path / "out", inputs))
    assert (work.candidate, work.baseline, work.operators.shared) == (0.0, 0.0, 0)
    assert work.operators.candidate == 2 * work.operators.baseline > 0
