"""Nets of five kinds through the same steps: pruned, distilled, int8 in both formats, run in the runtimes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file

from edgebuild.formats import _tflite_quantize
from edgebuild.formats.onnx import Onnx
from edgebuild.nn import checkpoint
from edgebuild.spec import notes
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.prune_weights import PruneWeights
from tests import runtimes, tiny

# Share of the parameters that may be left when half the channels and heads go; PyTorch's GRU keeps its own.
LEFT = {"tiny": 0.3, "patches": 0.75, "separable": 0.35, "gestures": 0.3, "tones": 0.9}
EXAMPLES = 400  # all that are held out
formats = pytest.mark.parametrize("format_name", ["onnx", "tflite"])


@pytest.fixture(scope="module", params=LEFT)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """A model of one kind and all that is made of it, on demand."""
    if request.param == "tiny":
        made: tiny.Made = request.getfixturevalue("made")
        return made
    return tiny.start(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """A model with PyTorch's GRU."""
    return tiny.start("tones", tmp_path_factory.mktemp("refused"))


def parameters(made: tiny.Made, artifact: str) -> int:
    return sum(tensor.numel() for tensor in load_file(made[artifact] / checkpoint.WEIGHTS).values())


def test_pruning_leaves_fewer_parameters_and_distillation_the_accuracy(net: tiny.Made) -> None:
    assert parameters(net, "distilled") < LEFT[net.name] * parameters(net, "float")
    before, after = (
        runtimes.accuracy(net, runtimes.torch_answers(net, artifact, EXAMPLES)) for artifact in ("float", "distilled")
    )
    assert before > 0.95
    assert after > before - 0.03


@formats
def test_the_integer_file_is_smaller_and_as_accurate_as_the_model_it_is_made_of(
    net: tiny.Made, format_name: str
) -> None:
    small, quantized = f"{format_name}-small", f"{format_name}-small_int8"
    wanted = runtimes.torch_answers(net, "distilled", EXAMPLES)
    given = runtimes.file_answers(net, quantized, EXAMPLES)
    assert 0 < np.abs(given - wanted).max() < 0.2 * np.abs(wanted).max()
    assert runtimes.accuracy(net, given) > runtimes.accuracy(net, wanted) - 0.02
    share = net.file(quantized).stat().st_size / net.file(small).stat().st_size
    assert share < (0.7 if (net.name, format_name) != ("tones", "onnx") else 0.95)


def executed(path: Path) -> onnx.GraphProto:
    """What ONNX Runtime makes of a file, without what belongs to one processor family."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path.with_name("executed.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnx.load(options.optimized_model_filepath).graph


def test_onnx_runtime_computes_every_layer_in_integers_but_recurrent_ones(net: tiny.Made) -> None:
    layers = Counter(layer.operator for layer in Onnx().layers(net.file("onnx-small").read_bytes()))
    graph = executed(net.file("onnx-small_int8"))
    weights = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1}
    used = [node.op_type for node in graph.node if weights.intersection(node.input)]
    assert {*used} <= {"QLinearConv", "QGemm", "MatMulIntegerToFloat", "QLinearMatMul"}
    assert len(used) == layers.total() - layers["GRU"]
    floats = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) > 1}
    sums = {"Add"} if net.name == "patches" else set()  # what a layer norm reads: places are added in float
    assert {n.op_type for n in graph.node if floats.intersection(n.input)} <= {"GRU"} | sums  # GRU has no other kernel
    assert layers["GRU"] == (net.name == "tones")


def test_litert_computes_every_layer_in_integers_without_breaking_the_file_into_more_parts(net: tiny.Made) -> None:
    small, quantized = net.file("tflite-small").read_bytes(), net.file("tflite-small_int8").read_bytes()
    found = list(layer_types(quantized))
    assert found
    assert {*found} == {("INT8", "INT8", "INT8")}
    assert len(found) == len(list(layer_types(small)))
    assert _tflite_quantize.parts(quantized) <= _tflite_quantize.parts(small)


def layer_types(model: bytes) -> Iterator[tuple[str, ...]]:
    """Types of activations, weights and result of each layer of a .tflite file."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    for operator in graph.operators:
        kind = flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex)
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            tensors = [graph.tensors[int(i)] for i in (*operator.inputs[:2], operator.outputs[0])]
            yield tuple(flatbuffer_utils.type_to_name(tensor.type) for tensor in tensors)


def test_a_recurrent_layer_loses_channels_of_its_state(tones: tiny.Made, tmp_path: Path) -> None:
    done = tiny.perform(PruneChannels(ratio=0.5), tmp_path / "out", {"model": ("torch", tones["float"])})
    whole, pruned = (checkpoint.load(folder).module.get_submodule("gru") for folder in (tones["float"], done))
    assert pruned.hidden_size < whole.hidden_size
    assert pruned.weight_hh_l0.shape == (3 * pruned.hidden_size, pruned.hidden_size)
    assert not [line for line in notes.read(done) if "gru" in line]


def test_its_single_weights_are_not(tones: tiny.Made, tmp_path: Path) -> None:
    output = tiny.perform(PruneWeights(ratio=0.5), tmp_path / "out", {"model": ("torch", tones["float"])})
    found = load_file(output / checkpoint.WEIGHTS)
    for name in ("gru.weight_ih_l0", "gru.weight_hh_l0", "inner.weight"):
        assert int(found[name].count_nonzero()) == found[name].numel() // 2
