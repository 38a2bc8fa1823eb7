"""Layers as exporters of others write them: quantized, they answer as the float file does, or are refused in a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebuild.formats import _onnx_quantize, _refusals
from edgebuild.formats.onnx import Onnx
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("float32")


def model(nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int]) -> bytes:
    """A file with one input `x` and one output `out`."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, size)] for name, size in (("x", shape), ("out", None))
    ]
    graph = helper.make_graph(nodes, "g", *ends, tensors)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )


def gemm(bias: Any, rows: int = 1, **factors: float) -> bytes:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["out"], **factors)]
    return model(nodes, {"w": drawn(8, 4), "b": bias}, [rows, 8])


def product(weights: Any) -> bytes:
    return model([helper.make_node("MatMul", ["x", "w"], ["out"])], {"w": weights}, [1, 3, 8])


FILES = {
    "factors": gemm(drawn(4), alpha=0.5, beta=2.0),
    "a bias of one number": gemm(drawn(1)),
    "a bias without an axis": gemm(np.float32(2)),
    "a bias by rows": gemm(drawn(3, 1), rows=3),
    "a bias by rows and channels": gemm(drawn(3, 4), rows=3),
    "weights on the left": model(
        [helper.make_node("Gemm", ["w", "x", "b"], ["out"], alpha=0.5, beta=3.0, transB=1)],
        {"w": drawn(8, 8), "b": drawn(8, 1)},
        [1, 8],
    ),
    "a matrix as a stack of one": product(drawn(1, 8, 4)),
    "a stack of matrices": product(drawn(2, 8, 4)),
    "a vector": product(drawn(8)),
}


@pytest.mark.parametrize("technique", ["static", "dynamic"])
@pytest.mark.parametrize("case", FILES)
def test_a_layer_as_others_write_it_answers_as_it_did(case: str, technique: Any) -> None:
    """Factors were lost, the others stopped in the quantizer or in the runtime."""
    file = FILES[case]
    shape = [size.dim_value for size in onnx.load_from_string(file).graph.input[0].type.tensor_type.shape.dim]
    samples = [(drawn(*shape),) for _ in range(8)]
    done = Onnx().quantize(file, Quantization(technique), samples if technique == "static" else ())
    (answers, right) = (np.concatenate([one for (one,) in Onnx().run(each, samples)]) for each in (done, file))
    assert np.abs(answers - right).max() < 0.05 * np.abs(right).max()


@pytest.mark.parametrize("moved", [False, True])
def test_the_largest_probability_that_was_seen_is_not_taken_for_none(moved: bool) -> None:
    """The runtime's integer softmax went on at 0 where its range ended, and all that was made of it was wrong."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["s"], axis=1),
        helper.make_node("Unsqueeze" if moved else "Identity", ["s", "axis"] if moved else ["s"], ["p"]),
        helper.make_node("Mul" if moved else "MatMul", ["p", "v"], ["out"]),
    ]
    weights = {"w": drawn(8, 3) / 40, "v": drawn(3, 16), **({"axis": np.array([2])} if moved else {})}
    file, samples = model(nodes, weights, [1, 8]), [(drawn(1, 8),) for _ in range(8)]
    done = Onnx().quantize(file, Quantization("static"), samples)
    (answers, right) = (np.concatenate([one for (one,) in Onnx().run(each, samples)]) for each in (done, file))
    assert np.abs(answers - right).max() < 0.05 * np.abs(right).max()


def test_half_precision_takes_a_file_that_computes_in_it_in_parts() -> None:
    """The converter took the file's own casts for those that it had put there, and joined them."""
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Mul", ["half", "half"], ["square"]),
        helper.make_node("Cast", ["square"], ["out"], to=TensorProto.FLOAT),
    ]
    half = Onnx().quantize(model(nodes, {}, [1, 4]), Quantization("float16"))
    given = np.float32([[1, -2, 3, 0.5]])
    ((answer,),) = Onnx().run(half, [(given,)])
    np.testing.assert_allclose(answer, given**2, rtol=2e-3)


def test_the_operator_at_which_a_tool_stopped_is_named_with_its_kind() -> None:
    node = helper.make_node("Gemm", ["x"], ["y"], name="head.fc")

    def tool(node: onnx.NodeProto) -> None:
        raise ValueError(f"{len(node.input)} input\nand more")

    line = r"^tool fails in looking at Gemm 'head.fc': 1 input \(name that layer"
    with pytest.raises(UsageError, match=line), _refusals.of("tool", "looking", _onnx_quantize.failing):
        tool(node)
