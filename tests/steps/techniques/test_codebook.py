"""Codebooks and powers of two: no more values in the exported file than was asked for, zeros kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from onnx import numpy_helper

from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Step
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.codebook import Codebook
from edgebuild.steps.techniques.log2 import Log2
from tests import runtimes, tiny


def make(made: tiny.Made, step: Step, folder: Path, model: Path | None = None) -> Path:
    inputs = {"model": ("torch", model or made["float"]), "data": ("data", made["data"])}
    return tiny.perform(step, folder / "out", inputs)


def weights(folder: Path, name: str, scratch: Path) -> list[np.ndarray]:
    """Every float matrix and kernel of the file that is made of a torch artifact."""
    file = tiny.perform(Convert(name), scratch / name, {"model": ("torch", folder)}) / tiny.FILES[name]
    if name == "onnx":
        found = [numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer]
    else:
        model = flatbuffer_utils.read_model(str(file))
        (graph,) = model.subgraphs
        stored = [t for t in graph.tensors if t.type == schema.TensorType.FLOAT32 and len(t.shape) > 1]
        buffers = [(t.shape, model.buffers[t.buffer].data) for t in stored]
        found = [np.frombuffer(bytes(data), np.float32).reshape(shape) for shape, data in buffers if data is not None]
    return [value for value in found if value.dtype == np.float32 and value.ndim > 1 and value.size > 64]


@pytest.fixture(scope="module")
def sparse(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with three quarters of one layer pruned."""
    folder = tmp_path_factory.mktemp("sparse")
    model = checkpoint.load(made["float"])
    with torch.no_grad():
        weight = model.module.spread.weight
        weight.mul_(weight.abs() > weight.abs().quantile(0.75))
    checkpoint.save(replace(model, sparse=("spread.weight",)), folder)
    return folder


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_the_file_has_no_more_values_than_the_codebook(
    made: tiny.Made, sparse: Path, tmp_path: Path, name: str
) -> None:
    output = make(made, Codebook(bits=4, linear_bits=3), tmp_path, sparse)
    found = sorted(len(np.unique(weight)) for weight in weights(output, name, tmp_path))
    assert found[0] == 8  # the head
    assert {*found[1:]} == {16}  # with batch norms folded into half of them
    spread = checkpoint.load(output).module.spread.weight
    assert torch.equal(spread == 0, checkpoint.load(sparse).module.spread.weight == 0)


def test_fine_tuned_values_stay_shared_and_bring_back_accuracy(made: tiny.Made, sparse: Path, tmp_path: Path) -> None:
    coarse = make(made, Codebook(bits=2), tmp_path / "a", sparse)
    tuned = make(made, Codebook(bits=2, epochs=2), tmp_path / "b", sparse)
    loss = [_loss(made, folder) for folder in (coarse, tuned)]
    assert loss[1] < 0.5 * loss[0]
    model = checkpoint.load(tuned).module
    assert {len(p.unique()) for name, p in model.named_parameters() if p.ndim > 1} == {4}
    assert torch.equal(model.spread.weight == 0, checkpoint.load(sparse).module.spread.weight == 0)


def _loss(made: tiny.Made, folder: Path) -> float:
    from edgebuild.spec import dataset

    test = dataset.read(made["data"], "test")
    answers = checkpoint.load(folder).module(torch.from_numpy(np.array(test.inputs[0])))
    return float(torch.nn.functional.cross_entropy(answers, torch.from_numpy(np.array(test.labels[0]))))


def test_powers_of_two_reach_the_file_and_the_model_still_answers(made: tiny.Made, tmp_path: Path) -> None:
    output = make(made, Log2(bits=5), tmp_path)
    for name in ("onnx", "tflite"):
        for weight in weights(output, name, tmp_path):
            mantissa, exponent = np.frexp(weight[weight != 0])
            assert {*np.abs(mantissa).tolist()} == {0.5}
            assert np.ptp(exponent) <= 14
    (tmp_path / "data").symlink_to(made["data"])
    assert runtimes.accuracy(made, runtimes.torch_answers(tiny.Made("tiny", tmp_path), "out")) > 0.97


def test_a_codebook_that_changes_nothing_is_refused(made: tiny.Made, tmp_path: Path) -> None:
    once = make(made, Codebook(bits=2), tmp_path)
    with pytest.raises(UsageError, match=r"^codebook.bits: every weight tensor of the model has as few values already"):
        make(made, Codebook(bits=4), tmp_path / "again", once)


@pytest.mark.parametrize(("kind", "bits"), [(Codebook, 0), (Codebook, 9), (Log2, 1), (Log2, 9)])
def test_bits_out_of_range_are_refused(kind: type, bits: int) -> None:
    with pytest.raises(UsageError, match="x.toml: bits"):
        check(kind, {"bits": bits}, file="x.toml")


def test_data_is_needed_for_fine_tuning_alone() -> None:
    assert Codebook().uses() == ("model",)
    assert Codebook(epochs=1).uses() == ("model", "data")
