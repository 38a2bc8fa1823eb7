"""Inputs of any element type, of no axes and of no batch: what comes in is declared as it is, and ships as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebuild.sources.onnx import Onnx
from edgebuild.sources.tflite import Tflite
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.import_file import ImportFile
from tests import tiny
from tests.formats import lite
from tests.sources import nets

Array = NDArray[Any]
TYPES = ("uint8", "int8", "int16", "int32", "int64", "uint16", "bool", "float16", "float64")
WEIGHTS = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")


def model(nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[Any], *held: tuple[str, Array]) -> Any:
    tensors = [numpy_helper.from_array(values, name) for name, values in held]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def port(name: str, dtype: str, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def layers(dtype: str) -> Any:
    """Two layers on an input of this type, in the arithmetic that it has, or in float32 behind a cast."""
    own = dtype if dtype.startswith("float") else "float32"
    nodes = [] if own == dtype else [helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT)]
    nodes += [
        helper.make_node("MatMul", ["real" if nodes else "x", "w"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"], name="two"),
        helper.make_node("MatMul", ["b", "v"], ["y"], name="three"),
    ]
    held = ("w", WEIGHTS.astype(own)), ("v", WEIGHTS.T.copy().astype(own))
    return model(nodes, [port("x", dtype, ["N", 8])], [port("y", own, ["N", 8])], *held)


def values(dtype: str, *shape: int) -> Array:
    rng, kind = np.random.default_rng(1), np.dtype(dtype)
    return (rng.normal(size=shape) if kind.kind == "f" else rng.integers(0, 2, shape)).astype(kind)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("how", [Quantization("static"), Quantization("float16"), Quantization("weights_only")])
def test_an_input_of_any_type_goes_in_as_it_is_whatever_becomes_of_the_file(
    tmp_path: Path, dtype: str, how: Quantization
) -> None:
    path, spec = nets.written(layers(dtype), tmp_path), TensorSpec("x", (8,), dtype)  # type: ignore[arg-type]
    samples = [(row[None],) for row in values(dtype, 16, 8)]
    source, file = Onnx("model.onnx"), FORMATS.get("onnx")()
    came, adopted = list(source.answers(path, samples)), source.adopt(path, (spec,))
    if (dtype, how.technique) == ("float16", "float16"):
        with pytest.raises(UsageError, match="in half precision already"):
            file.quantize(adopted, how, samples)
        return
    made = file.quantize(adopted, how, samples if how.technique == "static" else ())
    assert onnx.load_from_string(made).graph.input[0].type == onnx.load_from_string(adopted).graph.input[0].type
    for (float_,), (own,), (answer,) in zip(came, file.run(adopted, samples), file.run(made, samples), strict=True):
        np.testing.assert_array_equal(own, float_)
        assert answer.dtype == own.dtype
        np.testing.assert_allclose(answer, float_, atol=0.05 * np.abs(float_).max() + 0.1)


def scaled() -> Any:
    """x · s, where s is a number without any axis, and the sum of all as another."""
    nodes = [
        helper.make_node("Mul", ["x", "s"], ["y"]),
        helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0),
    ]
    ports = [port("y", "float32", ["N", 8]), port("sum", "float32", [])]
    return model(nodes, [port("x", "float32", ["N", 8]), port("s", "float32", [])], ports)


def test_a_number_is_an_input_and_an_output_like_any_other(tmp_path: Path) -> None:
    path, specs = nets.written(scaled(), tmp_path), (TensorSpec("x", (8,)), TensorSpec("s", ()))
    sample = values("float32", 1, 8), np.float32([3])
    source = Onnx("model.onnx")
    for answers in (source.answers(path, [sample]), FORMATS.get("onnx")().run(source.adopt(path, specs), [sample])):
        ((product, total),) = answers
        np.testing.assert_allclose(product, 3 * sample[0])
        np.testing.assert_allclose(total, [3 * sample[0].sum()], rtol=1e-5)


def test_an_input_that_is_always_the_same_is_none(tmp_path: Path) -> None:
    path, specs = nets.written(scaled(), tmp_path), (TensorSpec("x", (8,)),)
    source = Onnx("model.onnx", constants={"s": 2})
    adopted = source.adopt(path, specs)
    assert [one.name for one in onnx.load_from_string(adopted).graph.input] == ["x"]
    sample = (values("float32", 1, 8),)
    for answers in (source.answers(path, [sample]), FORMATS.get("onnx")().run(adopted, [sample])):
        ((product, _),) = answers
        np.testing.assert_allclose(product, 2 * sample[0])
    with pytest.raises(UsageError, match=r"takes 'x' \[N, 8\] float32, 's' \[\] float32: constants names 'sr'"):
        Onnx("model.onnx", constants={"sr": 16_000}).adopt(path, specs)


def rates() -> Any:
    """Two branches that name what they make alike, chosen by an input: what ONNX Runtime dies of once it is decided."""
    arms = []
    for factor in (2.0, 3.0):
        nodes = [helper.make_node("Mul", ["x", "f"], ["a"]), helper.make_node("Relu", ["a"], ["r"])]
        held = [numpy_helper.from_array(np.float32(factor), "f")]
        arms.append(helper.make_graph(nodes, "arm", [], [helper.make_tensor_value_info("r", 1, None)], held))
    chosen = [
        helper.make_node("Equal", ["sr", "high"], ["k"]),
        helper.make_node("If", ["k"], ["y"], then_branch=arms[0], else_branch=arms[1]),
    ]
    ports = [port("x", "float32", ["N", 8]), port("sr", "int64", [])]
    return model(chosen, ports, [port("y", "float32", ["N", 8])], ("high", np.array(16_000)))


@pytest.mark.parametrize(("rate", "factor"), [(16_000, 2), (8_000, 3)])
def test_branches_that_a_constant_decides_are_gone(tmp_path: Path, rate: int, factor: int) -> None:
    path, source = nets.written(rates(), tmp_path), Onnx("model.onnx", constants={"sr": rate})
    adopted = source.adopt(path, (TensorSpec("x", (8,)),))
    assert "If" not in {node.op_type for node in onnx.load_from_string(adopted).graph.node}
    ((answer,),) = FORMATS.get("onnx")().run(adopted, [(np.ones((1, 8), "float32"),)])
    np.testing.assert_array_equal(answer, np.full((1, 8), factor, "float32"))


@pytest.mark.parametrize("shape", [(), (4,), (5, 4)])
def test_a_tflite_file_without_a_batch_takes_one_example_as_a_whole(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(lite.file("ABS", [shape], [shape], options="AbsOptions"))
    source, given = Tflite("net.tflite"), (-values("float32", 1, *shape),)
    ends = Signature((TensorSpec("in/0", shape),), (TensorSpec("out/0", shape),))
    imported = tiny.perform(ImportFile(source, path.name, ends), tmp_path / "out", {"file": ("file", tmp_path)})
    adopted = (imported / "model.tflite").read_bytes()
    for answers in (source.answers(path, [given]), FORMATS.get("tflite")().run(adopted, [given])):
        ((answer,),) = answers
        np.testing.assert_array_equal(answer, np.abs(given[0]))
