"""A .tflite file of the user's, also one that older tools wrote, is taken as it is meant or refused with the reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils

from edgebuild.formats import _tflite_graph, _tflite_look
from edgebuild.plan.planner import Plan
from edgebuild.sources.tflite import Tflite
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.import_file import ImportFile
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.travels import load_tflite
from tests import tiny
from tests.formats import lite
from tests.formats.lite import changed

IMAGE, ANSWER = TensorSpec("image", (12, 12, 1)), TensorSpec("output", (4,))  # as the file has it
Planner = Callable[..., Plan]
Change = Callable[[Any], Any]


def imported(content: bytes, folder: Path, inputs: tuple[TensorSpec, ...] = (IMAGE,)) -> Path:
    (folder / "came").mkdir()
    (folder / "came" / "net.tflite").write_bytes(content)
    step = ImportFile(Tflite("net.tflite"), "net.tflite", Signature(inputs, (ANSWER,)), "models/m/net.tflite")
    return tiny.perform(step, folder / "out", {"file": ("file", folder / "came")})


def of_2020(parsed: Any) -> None:
    """No signature, opcodes in the old field alone, names that are there twice."""
    parsed.signatureDefs = None
    for code in parsed.operatorCodes:
        code.deprecatedBuiltinCode, code.builtinCode = code.builtinCode, 0
    for tensor in parsed.subgraphs[0].tensors[-3:]:
        tensor.name = b"same"


def inner_twin(parsed: Any) -> None:
    """A graph within operators that computes nothing, with the names of the main one."""
    inner = copy.copy(parsed.subgraphs[0])
    inner.tensors, inner.operators = [inner.tensors[int(inner.inputs[0])]], []
    inner.inputs = inner.outputs = [0]
    parsed.subgraphs.append(inner)


def float16_weights(parsed: Any) -> None:
    """Weights as float16 constants, each behind an operator that widens it."""
    graph, schema = parsed.subgraphs[0], flatbuffer_utils.schema_fb
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    parsed.operatorCodes.append(code)
    for number, tensor in enumerate([*graph.tensors]):
        data = parsed.buffers[tensor.buffer].data
        if tensor.type == 0 and data is not None:
            small = schema.TensorT()
            small.shape, small.type, small.name = tensor.shape, 1, tensor.name + b"_half"
            parsed.buffers.append(schema.BufferT())
            parsed.buffers[-1].data = np.frombuffer(bytes(data), np.float32).astype(np.float16).view(np.uint8)
            parsed.buffers[tensor.buffer].data = None
            small.buffer, tensor.buffer = len(parsed.buffers) - 1, 0
            graph.tensors.append(small)
            for made in (number, _twin(graph, tensor)):  # two operators read each
                operator = schema.OperatorT()
                operator.opcodeIndex = len(parsed.operatorCodes) - 1
                operator.inputs, operator.outputs = [graph.tensors.index(small)], [made]
                graph.operators.insert(0, operator)


def _twin(graph: Any, tensor: Any) -> int:
    """The place of a tensor like this that nobody reads."""
    twin = flatbuffer_utils.schema_fb.TensorT()
    twin.shape, twin.type, twin.name, twin.buffer = tensor.shape, tensor.type, tensor.name + b"_twin", 0
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def answers(content: bytes, values: np.ndarray) -> np.ndarray:
    (answer,) = load_tflite.Model(content, {}).answer([values])
    return np.asarray(answer)


@pytest.fixture(scope="module")
def whole(made: tiny.Made) -> bytes:
    return made.file("tflite").read_bytes()


@pytest.mark.parametrize(
    ("change", "near"), [(lambda parsed: None, 0), (of_2020, 0), (inner_twin, 0), (float16_weights, 1e-2)]
)
def test_it_answers_as_it_came_and_our_quantizer_takes_it(
    whole: bytes, tmp_path: Path, change: Change, near: float
) -> None:
    came = changed(whole, change)
    made = (imported(came, tmp_path) / "model.tflite").read_bytes()
    values = np.random.default_rng(0).normal(size=(9, 1, 12, 12, 1)).astype("float32")
    assert np.array_equal(answers(made, values[0]), answers(came, values[0]))
    assert answers(made, values[0]) == pytest.approx(answers(whole, values[0]), abs=near)
    tflite = FORMATS.get("tflite")()
    assert "DEQUANTIZE" not in tflite.operators(made)
    assert len(tflite.layers(made)) == len(tflite.layers(whole)) > 3
    quantized = tflite.quantize(made, Quantization("static"), [(value,) for value in values])
    assert Tflite("").integer(quantized) == "int8"
    assert len(quantized) < 0.7 * len(made)
    assert answers(quantized, values[0]) == pytest.approx(answers(made, values[0]), abs=0.5)


def test_an_operator_that_only_a_delegate_knows_ends_calibration_in_one_line(whole: bytes) -> None:
    def someones_own(parsed: Any) -> None:
        used = parsed.subgraphs[0].operators[0]
        code = parsed.operatorCodes[used.opcodeIndex]
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, b"Nobodys"
        for operator in parsed.subgraphs[0].operators:
            if operator.opcodeIndex == used.opcodeIndex:
                operator.builtinOptions, operator.builtinOptionsType = None, 0

    sample = (np.zeros((1, 12, 12, 1), "float32"),)
    with pytest.raises(UsageError, match="unresolved custom op: Nobodys"):
        FORMATS.get("tflite")().quantize(changed(whole, someones_own), Quantization("static"), [sample])


def test_signatures_of_other_graphs_stay_out_of_the_way(tmp_path: Path) -> None:
    """A batch axis is put in front of this graph's ends, not of those that another graph has at the same places; and
    that graph, which nobody will ask for, is left out and said.
    """

    def two(parsed: Any) -> None:
        inner_twin(parsed)
        schema = flatbuffer_utils.schema_fb
        end, other = schema.TensorMapT(), schema.SignatureDefT()
        end.name, end.tensorIndex = b"x", 0
        other.signatureKey, other.subgraphIndex, other.inputs, other.outputs = b"other", 1, [end], [end]
        parsed.signatureDefs = [other]

    path = tmp_path / "net.tflite"
    path.write_bytes(changed(lite.file("RELU", [(10, 4)], (10, 4)), two))
    adopted = Tflite(path.name).adopt(path, (TensorSpec("in/0", (10, 4)),))
    values = np.random.default_rng(0).normal(size=(1, 10, 4)).astype("float32")
    assert np.array_equal(answers(adopted, values), np.maximum(values, 0))
    assert len(flatbuffer_utils.read_model_from_bytearray(bytearray(adopted)).subgraphs) == 1
    (note,) = _tflite_look.look(path).notes
    assert note == "the first graph of the file is taken, and not what it has for the signature 'other'"


def test_weights_in_blocks_are_integers() -> None:
    def in_blocks(parsed: Any) -> None:
        schema, weights = flatbuffer_utils.schema_fb, parsed.subgraphs[0].tensors[1]
        weights.type, weights.quantization = schema.TensorType.INT4, schema.QuantizationParametersT()
        weights.quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        weights.quantization.details = schema.BlockwiseQuantizationT()

    dense = lite.file("FULLY_CONNECTED", [(1, 8)], (1, 4), {1: np.ones((4, 8), "float32")})
    assert Tflite("").integer(dense) is None
    assert Tflite("").integer(changed(dense, in_blocks)) == "int4"


def open_between(content: bytes) -> bytes:
    """With the axes between the first and the last open, and stored as 1."""

    def opened(parsed: Any) -> None:
        for tensor in parsed.subgraphs[0].tensors:
            if parsed.buffers[tensor.buffer].data is None:
                tensor.shapeSignature = [1, *[-1] * (len(tensor.shape) - 2), tensor.shape[-1]]
                tensor.shape = [max(1, size) for size in tensor.shapeSignature]

    return changed(content, opened)


def test_open_axes_have_the_declared_sizes(tmp_path: Path) -> None:
    held = {1: np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32"), 2: np.ones(3, "float32")}
    path = tmp_path / "net.tflite"
    options: dict[str, Any] = {"options": "Conv2DOptions", "strideH": 2, "strideW": 2}
    path.write_bytes(open_between(lite.file("CONV_2D", [(1, 6, 7, 4)], (1, 3, 4, 3), held, **options)))
    (sample,) = np.random.default_rng(1).normal(size=(1, 1, 8, 10, 4)).astype("float32")
    adopted = Tflite(path.name).adopt(path, (TensorSpec("in/0", (8, 10, 4)),))
    ((came,),) = Tflite(path.name).answers(path, [(sample,)])
    assert np.array_equal(answers(adopted, sample), came)
    outputs = _tflite_graph.ports(adopted)[1]
    assert [port.shape for port in outputs] == [(1, 4, 5, 3)]


def test_open_axes_may_be_stored_with_sizes_that_no_operator_takes(tmp_path: Path) -> None:
    """Halves of one place are none; of eight, as is declared, they are four."""
    path, held = tmp_path / "net.tflite", {0: np.array(1, np.int32)}
    split = lite.file("SPLIT", [(1, 8, 3)], [(1, 4, 3), (1, 4, 3)], held, options="SplitOptions", numSplits=2)
    path.write_bytes(open_between(split))
    shape = _tflite_look.look(path).inputs[0].shape
    assert shape == (1, "?", 3)
    sample = np.random.default_rng(1).normal(size=(1, 8, 3)).astype("float32")
    adopted = Tflite(path.name).adopt(path, (TensorSpec("in/1", (8, 3)),))
    (came,) = Tflite(path.name).answers(path, [(sample,)])
    (answer,) = FORMATS.get("tflite")().run(adopted, [(sample,)])
    assert [np.array_equal(*pair) for pair in zip(answer, came, strict=True)] == [True, True]


def test_open_axes_that_an_operator_has_the_size_of_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    shape = {1: np.array([1, 8], np.int32)}
    path.write_bytes(open_between(lite.file("RESHAPE", [(1, 1, 8)], (1, 8), shape, options="ReshapeOptions")))
    with pytest.raises(UsageError, match="cannot be run with the declared shapes: .*num_input_elements"):
        Tflite(path.name).adopt(path, (TensorSpec("in/0", (2, 8)),))


@pytest.mark.parametrize(
    ("content", "inputs", "told"),
    [
        (lambda whole: b"", (IMAGE,), "is no TFLite model: its identifier is missing"),
        (lambda whole: whole[:4] + b"TFL2" + whole[8:], (IMAGE,), "is no TFLite model: its identifier is missing"),
        (lambda whole: whole[:3000], (IMAGE,), "is refused by LiteRT: "),
        (lambda whole: whole, (TensorSpec("image", (1, 12, 12)),), "[1, 12, 12, 1] float32, which cannot be [1, 1,"),
        (lambda whole: whole, (TensorSpec("image", (12, 12, 1), "int32"),), "which cannot be [1, 12, 12, 1] int32"),
        (lambda whole: whole, (IMAGE, IMAGE), "[[inputs]] must name these, in this order"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    whole: bytes, tmp_path: Path, content: Callable[[bytes], bytes], inputs: tuple[TensorSpec, ...], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        imported(content(whole), tmp_path, inputs)
    assert caught.value.line.startswith("models/m/net.tflite: ")
    assert told in caught.value.line
    assert not list((tmp_path / "out").iterdir())


def test_an_integer_file_is_taken_but_not_quantized_again(made: tiny.Made, tmp_path: Path) -> None:
    folder = imported(made.file("tflite-int8").read_bytes(), tmp_path)
    inputs = {"model": ("tflite", folder), "data": ("data", made["data"])}
    with pytest.raises(UsageError, match=r"the file computes in integers already \(int8\)"):
        tiny.perform(Int8(), tmp_path / "again", inputs)


def test_a_plan_starts_at_the_file(plan: Planner) -> None:
    text = (tiny.MODELS / "tiny" / "model.toml").read_text().replace('builder = "build"\n', "")
    files = {"model.toml": text + '\n[source]\nuse = "tflite"\nfile = "net.tflite"\n', "net.tflite": "not looked at"}
    made = plan(files=files, recipe='[{use = "int8"}]')
    (chain,) = made.products[0].chains
    assert chain.runtime.format == made.graph.kind(chain.baseline) == "tflite"
    assert made.notices == ("board: tiny comes as tflite, and nothing makes onnx of that: left out",)
