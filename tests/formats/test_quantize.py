"""Quantized files of nets of four kinds: what is in them, and that the runtime answers as the float net does."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgebuild.formats import _tflite_graph, _tflite_quantize
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Calibrator, Quantization, Range
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.spread import remarks
from tests.formats import nets

FORMAT_NAMES = ("onnx", "tflite")
STATIC = Quantization("static", activations="uint8")
formats = pytest.mark.parametrize("format_name", FORMAT_NAMES)
kinds = pytest.mark.parametrize("net", nets.NETS)


def quantized(net: str, format_name: str, how: Quantization, calibration: int = 24) -> bytes:
    model = nets.file(net, format_name)
    done: bytes = FORMATS.get(format_name)().quantize(model, how, nets.samples(net, calibration, seed=1))
    return done


def error(net: str, format_name: str, model: bytes) -> float:
    given = nets.samples(net, 16, seed=2)
    return nets.distance(nets.torch_answers(net, given), nets.answers(format_name, model, given))


def onnx_kinds(model: bytes) -> Counter[str]:
    return Counter(onnx.TensorProto.DataType.Name(t.data_type) for t in onnx.load_from_string(model).graph.initializer)


def tflite_kinds(model: bytes) -> Counter[str]:
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    stored = [t for t in parsed.subgraphs[0].tensors if parsed.buffers[t.buffer].data is not None]
    return Counter(flatbuffer_utils.type_to_name(tensor.type) for tensor in stored)


@kinds
@formats
def test_static_int8_answers_nearly_as_the_float_net(net: str, format_name: str) -> None:
    model = quantized(net, format_name, STATIC)
    assert 0 < error(net, format_name, model) < 0.12


@kinds
@formats
def test_dynamic_int8_answers_nearly_as_the_float_net(net: str, format_name: str) -> None:
    model = quantized(net, format_name, Quantization("dynamic"))
    assert error(net, format_name, model) < 0.1
    found = (onnx_kinds if format_name == "onnx" else tflite_kinds)(model)
    assert found["INT8"]


@kinds
@formats
def test_int8_weights_alone_are_in_the_file_and_the_net_computes_in_float(net: str, format_name: str) -> None:
    model = quantized(net, format_name, Quantization("weights_only"))
    assert error(net, format_name, model) < 0.05
    found = (onnx_kinds if format_name == "onnx" else tflite_kinds)(model)
    layers = FORMATS.get(format_name)().layers(nets.file(net, format_name))
    assert found["INT8"] >= len({layer.name.partition(":")[0] for layer in layers})
    if format_name == "onnx":
        operators = {node.op_type for node in onnx.load_from_string(model).graph.node}
        assert not operators & {"QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger"}


@formats
def test_float16_weights_alone_answer_to_three_digits(format_name: str) -> None:
    model = quantized("residual", format_name, Quantization("weights_only", weights="float16"))
    assert 0 < error("residual", format_name, model) < 2e-3
    assert (onnx_kinds if format_name == "onnx" else tflite_kinds)(model)["FLOAT16"] >= 3


@kinds
def test_int4_weights_in_onnx_are_half_of_int8_and_symmetric(net: str) -> None:
    eight = quantized(net, "onnx", Quantization("weights_only"))
    four = quantized(net, "onnx", Quantization("weights_only", weights="int4"))
    assert error(net, "onnx", four) < 0.7
    assert onnx_kinds(four)["INT4"] == onnx_kinds(eight)["INT8"]
    graph = onnx.load_from_string(four).graph
    stored = [numpy_helper.to_array(t) for t in graph.initializer if t.data_type == t.INT4]
    assert {int(np.abs(np.asarray(values, int)).max()) for values in stored} == {7}


@pytest.mark.parametrize(("format_name", "kind"), [("onnx", "UINT8"), ("tflite", "INT4")])
def test_int4_in_blocks_of_a_transformer_computes_in_integers(format_name: str, kind: str) -> None:
    how = Quantization("dynamic", weights="int4", granularity="block")
    model = quantized("transformer", format_name, how)
    assert error("transformer", format_name, model) < 0.7
    if format_name == "onnx":  # two weights to a byte
        operators = Counter(node.op_type for node in onnx.load_from_string(model).graph.node)
        assert operators["MatMulNBits"] == 13
        assert operators["GatherBlockQuantized"] == 1
    assert (onnx_kinds if format_name == "onnx" else tflite_kinds)(model)[kind] >= 13


@pytest.mark.parametrize(
    ("format_name", "how", "layer"),
    [
        ("onnx", Quantization("weights_only", weights="int4", granularity="block"), "'stem' is a Conv"),
        ("onnx", Quantization("dynamic", weights="int4", granularity="block"), "'stem' is a Conv"),
        ("tflite", Quantization("dynamic", weights="int4"), "'stem' is a CONV_2D"),
    ],
)
def test_int4_where_no_kernel_exists_is_refused_with_layer_and_what_to_do(
    format_name: str, how: Quantization, layer: str
) -> None:
    with pytest.raises(UsageError) as caught:
        quantized("residual", format_name, how)
    assert layer in caught.value.reason
    assert caught.value.hint == 'keep = ["stem", "inner"]'
    from dataclasses import replace

    kept = quantized("residual", format_name, replace(how, keep=("stem", "inner")))
    assert error("residual", format_name, kept) < 0.5


@formats
def test_layers_have_the_names_of_the_torch_modules(format_name: str) -> None:
    kind = FORMATS.get(format_name)()
    names = [layer.name for layer in kind.layers(nets.file("residual", format_name))]
    assert sorted(names) == ["head", "inner", "stem"]
    names = [layer.name for layer in kind.layers(nets.file("transformer", format_name))]
    assert {"head", "blocks.0.out", "blocks.1.up", "blocks.1.down"} <= {*names}
    assert len(names) == len({*names}) == 14


@formats
def test_a_kept_layer_stays_float_and_an_unknown_one_is_refused(format_name: str) -> None:
    model = quantized("residual", format_name, Quantization("static", keep=("inner",)))
    shapes = {"onnx": [8, 8, 3, 3], "tflite": [8, 3, 3, 8]}[format_name]
    if format_name == "onnx":
        floats = [list(t.dims) for t in onnx.load_from_string(model).graph.initializer if t.data_type == t.FLOAT]
    else:
        floats = [d["shape"].tolist() for d in details(model) if d["dtype"] == np.float32]
    assert shapes in floats
    with pytest.raises(UsageError, match="the file has no layer 'iner'") as caught:
        quantized("residual", format_name, Quantization("static", keep=("iner",)))
    assert "inner" in str(caught.value.hint)


def details(model: bytes) -> list[dict[str, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    found: list[dict[str, Any]] = Interpreter(model_content=model).get_tensor_details()
    return found


@formats
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_granularity_is_the_number_of_scales(format_name: str, granularity: Any) -> None:
    model = quantized("residual", format_name, Quantization("static", granularity=granularity))
    wanted = 8 if granularity == "channel" else 1
    if format_name == "tflite":
        (weight,) = [d for d in details(model) if d["shape"].tolist() == [8, 3, 3, 8]]
        assert len(weight["quantization_parameters"]["scales"]) == wanted
        return
    graph = onnx.load_from_string(model).graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    pairs = [node.input[:2] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in known]
    (scales,) = [known[scale] for weight, scale in pairs if list(known[weight].dims) == [8, 8, 3, 3]]
    assert int(np.prod(scales.dims)) == wanted


@formats
def test_symmetric_activations_have_their_zero_in_the_middle(format_name: str) -> None:
    model = quantized("residual", format_name, Quantization("static", symmetric=True))
    if format_name == "tflite":
        zeros = [z for d in details(model) for z in d["quantization_parameters"]["zero_points"].tolist()]
    else:
        graph = onnx.load_from_string(model).graph
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        zeros = [int(known[node.input[2]]) for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(zeros) > 3
    assert {*zeros} == {0}


@formats
@pytest.mark.parametrize("calibrator", ["moving_average", "percentile", "entropy", "mse"])
def test_every_calibrators_range_becomes_the_inputs_scale(format_name: str, calibrator: Calibrator) -> None:
    how = Quantization("static", calibrator=calibrator, percentile=99.0)
    kind, model = FORMATS.get(format_name)(), nets.file("residual", format_name)
    given = nets.samples("residual", 24, seed=1)
    low, high = kind.observe(model, how, given)[input_name(format_name, model)]
    assert high - low <= max(x.max() for (x,) in given) - min(x.min() for (x,) in given) + 1e-6
    done = kind.quantize(model, how, given)
    assert error("residual", format_name, done) < 0.25
    assert any(abs(scale - (high - low) / 255) < 1e-6 for scale in scales(format_name, done))


def input_name(format_name: str, model: bytes) -> str:
    if format_name == "onnx":
        return str(onnx.load_from_string(model).graph.input[0].name)
    return next(iter(_tflite_graph.operators(model)[0].inputs))


def scales(format_name: str, model: bytes) -> list[float]:
    if format_name == "tflite":
        return [s for d in details(model) for s in d["quantization_parameters"]["scales"].tolist()]
    tensors = onnx.load_from_string(model).graph.initializer
    return [float(numpy_helper.to_array(t)) for t in tensors if t.data_type == t.FLOAT and not t.dims]


@formats
def test_given_ranges_become_scales(format_name: str) -> None:
    model = nets.file("residual", format_name)
    name = input_name(format_name, model)
    done = quantized("residual", format_name, Quantization("static", ranges={name: (-3.0, 5.0)}))
    assert any(abs(scale - 8 / 255) < 1e-7 for scale in scales(format_name, done))


def test_integer_borders_are_in_the_tflite_file() -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=quantized("residual", "tflite", Quantization("static", borders="int8")))
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [end["dtype"] for end in ends] == [np.int8, np.int8]
    assert all(end["quantization"][0] > 0 for end in ends)


def test_tflite_quantizes_only_layers_where_all_would_cut_the_file_into_more_parts() -> None:
    from dataclasses import replace

    def parts(operators: Any) -> int:
        return _tflite_quantize.parts(quantized("transformer", "tflite", replace(STATIC, operators=operators)))

    whole = _tflite_quantize.parts(nets.file("transformer", "tflite"))
    assert parts("all") > 5 * whole
    assert parts("auto") == parts("layers") <= whole


def test_graphs_within_operators_and_layers_of_computed_weights_stay_float() -> None:
    """What a reduction does to two numbers has no range, and weights with a zero point no kernel."""
    import torch
    from torch import nn

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.pool = nn.Conv2d(2, 3, 3), nn.MaxPool2d(3, dilation=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.layer(x)
            return nn.functional.conv2d(self.pool(y), y.mean((2, 3)).reshape(1, 3, 1, 1))

    torch.manual_seed(0)
    lite, module, x = FORMATS.get("tflite")(), Own().eval(), torch.randn(1, 2, 9, 9)
    file, fed = lite.convert(module, (x,)), [(x.numpy(),)]
    assert "STABLEHLO_REDUCE_WINDOW" in lite.operators(file)
    ((answer,),) = lite.run(lite.quantize(file, Quantization("static"), fed), fed)
    assert np.abs(answer - module(x).detach().numpy()).max() < 0.05


def test_what_runs_a_graph_of_the_file_takes_and_gives_floats() -> None:
    """Integers that a graph of floats is handed are read beyond their end."""
    import torch
    from ai_edge_litert.tools import flatbuffer_utils
    from litert_torch.hlfb import StableHLOCompositeBuilder
    from torch import nn

    class Own(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            builder = StableHLOCompositeBuilder("odml.npu_call")  # of which its quantizer knows kernels
            halved = builder.mark_inputs(x + 1) / 2
            return torch.as_tensor(builder.mark_outputs(halved)) + x

    lite, x = FORMATS.get("tflite")(), torch.randn(1, 8)
    file, fed = lite.convert(Own().eval(), (x,)), [(x.numpy(),)]
    quantized = lite.quantize(file, Quantization("static", operators="all"), fed)
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(quantized))
    graph = parsed.subgraphs[0]
    kinds = [flatbuffer_utils.opcode_to_name(parsed, one.opcodeIndex) for one in graph.operators]
    one = graph.operators[kinds.index("STABLEHLO_COMPOSITE")]
    float32 = 0
    assert {graph.tensors[int(each)].type for each in (*one.inputs, *one.outputs)} == {float32}


def test_a_factor_behind_a_layer_is_quantized_with_it() -> None:
    """The bias that a converter makes of the two has four axes, in which the quantizer had no place for its scales."""
    import torch
    from torch import nn

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.scale = nn.Linear(4, 6), nn.Parameter(torch.rand(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scaled: torch.Tensor = self.layer(x) * self.scale
            return scaled

    torch.manual_seed(0)
    lite, module, x = FORMATS.get("tflite")(), Scaled().eval(), torch.randn(1, 3, 3, 4)
    file, fed = lite.convert(module, (x,)), [(x.numpy(),)]
    ((answer,),) = lite.run(lite.quantize(file, Quantization("static"), fed), fed)
    assert np.abs(answer - module(x).detach().numpy()).max() < 0.05


def test_embeddings_of_a_static_tflite_file_are_integers_too() -> None:
    (table,) = [d for d in details(quantized("transformer", "tflite", STATIC)) if d["shape"].tolist() == [40, 32]]
    assert table["dtype"] == np.int8
    assert len(table["quantization_parameters"]["scales"]) == 40


def test_depthwise_convolutions_stay_float_in_dynamic_tflite() -> None:
    layers = FORMATS.get("tflite")().layers(nets.file("depthwise", "tflite"))
    depthwise = sum(layer.operator == "DEPTHWISE_CONV_2D" for layer in layers)
    auto = quantized("depthwise", "tflite", Quantization("dynamic"))
    every = quantized("depthwise", "tflite", Quantization("dynamic", operators="all"))
    assert tflite_kinds(every)["INT8"] - tflite_kinds(auto)["INT8"] == depthwise == 2


def test_convolutions_stay_float_in_dynamic_onnx() -> None:
    def operators(how: Any) -> Counter[str]:
        how = Quantization("dynamic", operators=how)
        return Counter(n.op_type for n in onnx.load_from_string(quantized("residual", "onnx", how)).graph.node)

    assert (operators("auto")["Conv"], operators("auto")["ConvInteger"]) == (2, 0)
    assert (operators("all")["Conv"], operators("all")["ConvInteger"]) == (0, 2)


@formats
def test_a_channel_without_weights_keeps_its_constant(format_name: str) -> None:
    """Scales of 1 and of 1e-11 are what the quantizers give it: its bias came out wrong, or as 0."""
    import copy

    import torch

    module = copy.deepcopy(cast(Any, nets.net("residual")))
    with torch.no_grad():
        module.head.weight[2] = 0
        module.head.bias[2] = 0.731
        module.inner.weight[3] = 0
    given = nets.samples("residual", 16)
    kind = FORMATS.get(format_name)()
    model = kind.convert(module, (torch.from_numpy(given[0][0]),))
    done = kind.quantize(model, STATIC, given)
    wanted = np.concatenate([module(torch.from_numpy(x)).detach().numpy() for (x,) in given])
    answered = nets.answers(format_name, done, given)
    step = (wanted.max() - wanted.min()) / 255
    assert np.abs(answered[:, 2] - 0.731).max() <= step
    assert nets.distance(wanted, answered) < 0.1


def around(activation: Any) -> Any:
    """Two convolutions with an activation between them, always of the same weights, and a linear layer."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), activation, nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(256, 2)).eval()


def in_int8(format_name: str, module: Any, how: Quantization, given: dict[str, Range]) -> Any:
    """What the static file of a net of pictures answers, what the net does, and the ranges that were seen."""
    import torch

    samples = nets.samples("residual", 4)
    kind = FORMATS.get(format_name)()
    model = kind.convert(module, (torch.from_numpy(samples[0][0]),))
    ranges = kind.observe(model, how, samples)
    assert {*given} <= {*ranges}
    answered = nets.answers(format_name, kind.quantize(model, how.with_ranges({**ranges, **given})), samples)
    return answered, np.concatenate([module(torch.from_numpy(x)).detach().numpy() for (x,) in samples]), ranges


@formats
def test_a_bias_that_two_layers_share_is_right_where_one_has_a_channel_without_weights(format_name: str) -> None:
    """A TFLite file has such a bias once, and the quantizer copies it under another name."""
    import torch
    from torch import nn

    module = around(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))
    with torch.no_grad():
        module[1][0].bias.copy_(module[0].bias)
        module[0].weight[2] = 0
    answered, wanted, _ = in_int8(format_name, module, STATIC, {})
    assert nets.distance(wanted, answered) < 0.1


KINDS = [("onnx", "int8"), ("onnx", "uint8"), ("tflite", "int8")]


@pytest.mark.parametrize(("format_name", "activations"), KINDS)
@pytest.mark.parametrize(("activation", "bias"), [("ReLU", -100), ("ReLU6", -100), ("Hardtanh", 100)])
def test_a_layer_that_gives_nothing_but_0_is_exact_and_told(
    format_name: str, activations: Any, activation: str, bias: float
) -> None:
    """The quantizer of ONNX removes the ReLU: a range of ±1 in its place let -1 through where 0 belongs."""
    import torch

    options = (-1, 0) if activation == "Hardtanh" else ()
    module = around(getattr(torch.nn, activation)(*options))
    with torch.no_grad():
        module[0].bias[:] = bias
    answered, wanted, ranges = in_int8(format_name, module, Quantization("static", activations=activations), {})
    assert remarks(ranges)[0].startswith("0 in all calibration examples are the tensors")
    assert np.abs(answered - wanted).max() < 0.02 * np.abs(wanted).max()


@formats
def test_a_clip_that_0_is_outside_of_still_clips(format_name: str) -> None:
    """Every range holds 0, so that none does such a clip's work."""
    from torch import nn

    answered, wanted, _ = in_int8(format_name, around(nn.Hardtanh(0.5, 1.0)), STATIC, {})
    assert nets.distance(wanted, answered) < 0.12


def test_a_range_that_is_given_for_a_relu_and_reaches_below_0_lets_nothing_through() -> None:
    from torch import nn

    answered, wanted, _ = in_int8("onnx", around(nn.ReLU()), STATIC, {"relu": (-2.0, 2.0)})
    assert nets.distance(wanted, answered) < 0.12
