"""What is in memory when: of real files, against the addresses that the runtime itself gave its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.formats import _lifetimes, _onnx_memory
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence._packing import planned
from tests import runtimes, tiny


def test_a_tensor_lives_from_what_makes_it_to_the_last_that_takes_it() -> None:
    """x is given, z goes out; w is a constant, and nothing takes the second output of the first operator."""
    operators = [(["x", "w"], ["a", "unused"]), (["a"], ["b"]), (["a", "b"], ["z"]), (["z"], ["last"])]
    sizes = {"x": 1, "a": 2, "unused": 3, "b": 4, "z": 5, "last": 6}
    assert _lifetimes.of_graph(operators, ["x"], ["z"], sizes) == (
        Lifetime(1, 0, 3), Lifetime(2, 0, 2), Lifetime(3, 0, 0), Lifetime(4, 1, 2), Lifetime(5, 2, 3), Lifetime(6, 3, 3)
    )  # fmt: skip


def lifetimes(made: tiny.Made, artifact: str) -> tuple[Lifetime, ...]:
    found: tuple[Lifetime, ...] = FORMATS.get(tiny.kind(artifact))().lifetimes(made.file(artifact).read_bytes())
    return found


def extent(file: Path) -> int:
    """Bytes from the first to the last of the tensors that LiteRT's interpreter planned, by their addresses."""
    from ai_edge_litert import interpreter
    from ai_edge_litert.tools import flatbuffer_utils

    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    running = interpreter.Interpreter(model_path=str(file), experimental_op_resolver_type=plain, num_threads=1)
    running.allocate_tensors()
    parsed = flatbuffer_utils.read_model(str(file))
    constants = {
        i for i, tensor in enumerate(parsed.subgraphs[0].tensors) if parsed.buffers[tensor.buffer].data is not None
    }
    spans = []
    for one in running.get_tensor_details():
        if one["index"] not in constants:
            values: Any = running.tensor(one["index"])()
            start = values.__array_interface__["data"][0]
            spans.append((start, start + values.nbytes))
    return max(end for _, end in spans) - min(start for start, _ in spans)


def test_the_plan_is_as_large_as_the_runtimes_own_where_kernels_need_no_scratch(arrows: tiny.Made) -> None:
    tensors = lifetimes(arrows, "tflite")
    assert planned(tensors) == extent(arrows.file("tflite"))
    assert sorted(tensor.bytes for tensor in tensors) == [32, 80, 192]  # 8, 20 and 48 floats


@pytest.mark.parametrize("artifact", ["tflite", "tflite-int8"])
def test_scratch_of_the_kernels_is_not_in_the_plan_and_nothing_else_lacks(made: tiny.Made, artifact: str) -> None:
    tensors = lifetimes(made, artifact)
    alive = max(sum(t.bytes for t in tensors if t.first <= k <= t.last) for k in range(40))
    assert alive <= planned(tensors) <= extent(made.file(artifact))


def test_onnx_is_planned_as_the_runtime_fuses_it(made: tiny.Made) -> None:
    """The stem's 16 × 12 × 12 floats and the input, and the first convolution's output: nothing else at once."""
    floats, ints = lifetimes(made, "onnx"), lifetimes(made, "onnx-int8")
    assert 16 * 144 * 4 in {tensor.bytes for tensor in floats}
    assert 16 * 144 in {tensor.bytes for tensor in ints}
    assert 16 * 144 * 4 not in {tensor.bytes for tensor in ints}  # though the file dequantizes it
    assert 0.2 < planned(ints) / planned(floats) < 0.4


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_half_precision_is_planned_too(made: tiny.Made, name: str) -> None:
    """LiteRT computes in float32 all the same; ONNX Runtime too on a CPU without kernels for halves."""
    assert planned(lifetimes(made, f"{name}-float16")) >= 0.5 * planned(lifetimes(made, name))


@pytest.mark.parametrize("name", runtimes.formats())
def test_inputs_of_other_kinds_are_counted_in_their_own_type(tokens: tiny.Made, pair: tiny.Made, name: str) -> None:
    sizes = {tensor.bytes for tensor in lifetimes(tokens, name)}
    assert 7 * (4 if name == "tflite" else 8) in sizes  # TFLite stores whole numbers of 64 bits in 32
    given = {4 * int(np.prod(spec.shape)) for spec in tiny.spec("pair").declared.inputs}
    assert given <= {tensor.bytes for tensor in lifetimes(pair, name)}


@pytest.mark.parametrize(("inside", "whole"), [("b", True), ("a", False)])
def test_a_fused_graph_whose_inner_graph_makes_a_name_again_is_none_to_count(inside: str, whole: bool) -> None:
    """ONNX Runtime writes such for integers in a Scan, and would not take them back. Both branches may have a name."""
    from onnx import helper

    inner = helper.make_graph([helper.make_node("Identity", ["x"], [inside])], "inner", [], [])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["a"]), branch], "g", [], [])
    assert _onnx_memory.assigned_once(graph) is whole
