"""ONNX files as they also come: graphs within operators, outputs that nothing computes, other domains, odd types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebuild.data.noise import Noise
from edgebuild.formats import _onnx_look
from edgebuild.formats.onnx import Onnx as Format
from edgebuild.nn.lift import lift, prove
from edgebuild.sources.onnx import Onnx
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.load_data import LoadData
from edgebuild.verbs.drafting import answered
from tests import tiny
from tests.sources import nets

node, info = helper.make_node, helper.make_tensor_value_info
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
RNG = np.random.default_rng(0)
HELD = {
    "w": RNG.normal(size=(8, 4)).astype("float32"),
    "v": RNG.normal(size=(4, 4)).astype("float32"),
    "n": np.int64(3),
    "yes": np.bool_(True),
    "zero": np.float32(0),
    "rows": np.float32(np.zeros((1, 4))),
    "first": np.int64(0),
    "axis": np.array([0]),
    "eight": np.int64(8),
    "square": np.array([0, 2, 2, 2]),
    "row": np.array([0, 1, 1, 8]),
    "steps": np.array([2, 1, 4]),
    "larger": np.array([1, 1, 2, 1.5], "float32"),
    "smaller": np.array([1, 1, 1, 0.7], "float32"),
    "kernel": RNG.normal(size=(3, 1, 1, 1)).astype("float32"),
    "kernels": RNG.normal(size=(3, 2, 1, 1)).astype("float32"),
    "wx": RNG.normal(size=(1, 8, 4)).astype("float32"),
    "wh": RNG.normal(size=(1, 8, 2)).astype("float32"),
    "h0": np.zeros((1, 1, 2), "float32"),
    "one": np.ones(8, "float32"),
    "all": np.array([4, 0]),
    "groups": RNG.normal(size=(2, 3, 1, 1)).astype("float32"),
    "six": np.arange(6, dtype="float32") / 6,
    "lowest": np.float32(-np.inf),
    "many": np.float32(2e4),
    "rank": np.array([1, 8]),
    "nowhere": np.zeros((1, 8), "int64"),
    "million": np.float32(1e6),
}
DOMAINS = {"ai.onnx.ml": 3, "com.microsoft": 1}
WAYS = (Quantization("static"), Quantization("dynamic"), Quantization("float16"), Quantization("weights_only"))


def file(nodes: list[onnx.NodeProto], outputs: list[str], domain: str = "", opset: int = 17) -> onnx.ModelProto:
    held = [numpy_helper.from_array(np.asarray(values), name) for name, values in HELD.items()]
    ends = [info("x", FLOAT, ["N", 8])], [info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", *ends, held)
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, DOMAINS[domain])] if domain else [])]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def branches() -> list[onnx.NodeProto]:
    """Both arms read what is computed outside, under names that they share."""
    arms = [
        helper.make_graph([node("MatMul", ["m", "v"], ["a"]), node(kind, ["a"], ["r"])], kind, [], [info("r", 1, None)])
        for kind in ("Relu", "Neg")
    ]
    return [
        node("MatMul", ["x", "w"], ["m"]),
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["k"]),
        node("If", ["k"], ["y"], then_branch=arms[0], else_branch=arms[1]),
    ]


def loop() -> list[onnx.NodeProto]:
    within = [node("MatMul", ["l", "v"], ["a"]), node("Relu", ["a"], ["r"]), node("Identity", ["c"], ["d"])]
    ends = [info("i", INT64, []), info("c", BOOL, []), info("l", FLOAT, None)]
    body = helper.make_graph(within, "b", ends, [info("d", BOOL, []), info("r", FLOAT, None)])
    return [node("MatMul", ["x", "w"], ["m"]), node("Loop", ["n", "yes", "m"], ["y"], body=body)]


def scan() -> list[onnx.NodeProto]:
    within = [node("Add", ["s", "e"], ["t"]), node("Identity", ["t"], ["o"])]
    ends = [info(name, FLOAT, [4]) for name in ("s", "e")], [info(name, FLOAT, [4]) for name in ("t", "o")]
    body = helper.make_graph(within, "b", *ends)
    return [
        node("MatMul", ["x", "w"], ["m"]),
        node("Squeeze", ["rows"], ["begin"]),
        node("Scan", ["begin", "m"], ["end", "every"], body=body, num_scan_inputs=1),
        node("MatMul", ["every", "v"], ["y"]),
    ]


def linear(domain: str) -> list[onnx.NodeProto]:
    more = {"coefficients": [0.1] * 16 + [-0.1] * 8, "intercepts": [0.0, 0.1, 0.2], "classlabels_ints": [0, 1, 2]}
    return [node("LinearClassifier", ["x"], ["k", "y"], domain=domain, post_transform="SOFTMAX", **more)]


def trees() -> list[onnx.NodeProto]:
    """Two leaves, as trees have been written since version 5 of their domain."""
    ends = {"leaf_targetids": [0, 0], "leaf_weights": helper.make_tensor("w", FLOAT, [2], [1.0, 2.0])}
    splits = helper.make_tensor("s", FLOAT, [1], [0.1])
    modes = helper.make_tensor("m", TensorProto.UINT8, [1], [0])
    one = {"nodes_splits": splits, "nodes_modes": modes, "nodes_featureids": [0], "tree_roots": [0], "n_targets": 1}
    sides = {"nodes_truenodeids": [0], "nodes_trueleafs": [1], "nodes_falsenodeids": [1], "nodes_falseleafs": [1]}
    return [node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", aggregate_function=1, **one, **sides, **ends)]


def versions(nodes: list[onnx.NodeProto], *named: tuple[str, int]) -> onnx.ModelProto:
    """A file that names these versions of domains, as it does."""
    model = file(nodes, ["y"])
    model.ClearField("opset_import")
    model.opset_import.extend(helper.make_opsetid(*one) for one in named)
    return model


def sparse() -> onnx.ModelProto:
    """One constant of the file's and one of an operator's."""
    ends = helper.make_tensor("s", FLOAT, [2], [1.0, -2.0]), helper.make_tensor("at", INT64, [2], [3, 9])
    places = helper.make_tensor("at", INT64, [1, 2], [5, 1])
    within = helper.make_sparse_tensor(helper.make_tensor("", FLOAT, [1], [3.0]), places, [8, 4])
    nodes = [node("Constant", [], ["c"], sparse_value=within), node("Add", ["c", "s"], ["u"])]
    model = file([*nodes, node("MatMul", ["x", "u"], ["y"])], ["y"])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(*ends, [8, 4]))
    return model


def picture(*nodes: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Operators from `p`, a picture of 2 × 2 in two channels, to `q`."""
    return [node("Reshape", ["x", "square"], ["p"]), *nodes, node("Flatten", ["q"], ["y"])]


def recurrent() -> list[onnx.NodeProto]:
    """As PyTorch's older exporter writes one of whose results the last state alone is read."""
    return [
        node("Reshape", ["x", "steps"], ["s"]),
        node("LSTM", ["s", "wx", "wh", "", "", "h0"], ["", "e"], hidden_size=2),
        node("Flatten", ["e"], ["y"]),
    ]


def without_half() -> list[onnx.NodeProto]:
    """A window that says nothing of its type, and kinds that ONNX has for float32 alone."""
    return [
        node("HannWindow", ["eight"], ["k"]),
        node("Mul", ["x", "k"], ["m"]),
        node("Celu", ["m"], ["e"], alpha=0.5),
        node("IsInf", ["e"], ["i"]),
        node("Where", ["i", "zero", "e"], ["y"]),
    ]


CASES: dict[str, Callable[[], onnx.ModelProto]] = {
    "branches that inputs decide": lambda: file(branches(), ["y"]),
    "a loop": lambda: file(loop(), ["y"]),
    "a scan": lambda: file(scan(), ["y"]),
    "an output that is an input": lambda: file([node("MatMul", ["x", "w"], ["y"])], ["y", "x"]),
    "an output given twice": lambda: file(
        [node("MatMul", ["x", "w"], ["y"]), node("Identity", ["y"], ["z"])], ["y", "z"]
    ),
    "an output that is a constant": lambda: file([node("MatMul", ["x", "w"], ["y"])], ["y", "v"]),
    "another domain alone": lambda: file(linear("ai.onnx.ml"), ["y"], domain="ai.onnx.ml"),
    "weights in half precision": lambda: file(
        [node("Cast", ["w"], ["h"], to=10), node("Cast", ["h"], ["f"], to=1), node("MatMul", ["x", "f"], ["y"])], ["y"]
    ),
    "other floats within": lambda: file(
        [node("Cast", ["x"], ["h"], to=16), node("Cast", ["h"], ["f"], to=1), node("MatMul", ["f", "w"], ["y"])], ["y"]
    ),
    "constants that are stored sparsely": sparse,
    "constants that are no tensors": lambda: file(
        [
            node("Constant", [], ["f"], value_floats=[0.5, 1.0, 1.5, 2.0, 0.25, 0.75, 3.0, 1.25]),
            node("Mul", ["x", "f"], ["m"]),
            node("MatMul", ["m", "w"], ["y"]),
        ],
        ["y"],
    ),
    "names of nothing": lambda: file(
        picture(node("Conv", ["p", "kernels", ""], ["c"]), node("MaxPool", ["c"], ["q", ""], kernel_shape=[2, 2])),
        ["y"],
    ),
    "the largest of all but the first axis": lambda: file(
        [
            *picture(node("Hardmax", ["p"], ["h"]))[:-1],
            node("ReduceSum", ["h"], ["s"], axes=[1, 2, 3]),
            node("Flatten", ["s"], ["y"]),
        ],
        ["y"],
        opset=11,
    ),
    "pixels from their corners": lambda: file(
        picture(node("Upsample", ["p", "larger"], ["q"], mode="linear")),
        ["y"],
        opset=9,
    ),
    "the nearest of fewer pixels": lambda: file(
        [
            *picture()[:1],
            node("Reshape", ["p", "row"], ["r"]),
            node("Resize", ["r", "smaller"], ["q"]),
            *picture()[-1:],
        ],
        ["y"],
        opset=10,
    ),
    "averages of places that do not touch": lambda: file(
        [
            node("Reshape", ["x", "row"], ["r"]),
            node("Conv", ["r", "kernel"], ["c"]),
            node("AveragePool", ["c"], ["a"], kernel_shape=[1, 2], dilations=[1, 3]),
            node("AveragePool", ["a"], ["q"], kernel_shape=[1, 2], dilations=[1, 1]),
            node("Flatten", ["q"], ["y"]),
        ],
        ["y"],
        opset=19,
    ),
    "a recurrent layer with names of nothing": lambda: file(
        recurrent(),
        ["y"],
    ),
    "operators without half precision": lambda: file(without_half(), ["y"]),
    "a product behind another's operator": lambda: file(
        [
            node("Unsqueeze", ["x", "axis"], ["u"]),
            node("SkipLayerNormalization", ["u", "u", "one"], ["o"], domain="com.microsoft"),
            node("MatMul", ["o", "w"], ["p"]),
            node("Relu", ["p"], ["y"]),
        ],
        ["y"],
        domain="com.microsoft",
    ),
    "another domain alone, and no version of ONNX's own": lambda: versions(linear("ai.onnx.ml"), ("ai.onnx.ml", 3)),
    "versions that are named twice": lambda: versions(
        [node("MatMul", ["x", "w"], ["m"]), *linear("ai.onnx.ml")], ("", 17), ("ai.onnx.ml", 3), ("", 17)
    ),
    "trees": lambda: versions(trees(), ("ai.onnx.ml", 5)),
    "a transposed convolution in groups": lambda: file(
        picture(node("ConvTranspose", ["p", "groups", "six"], ["q"], group=2)), ["y"]
    ),
    "zeros of a type that is not said": lambda: file(
        [
            node("ConstantOfShape", ["rank"], ["z"]),
            node("ScatterElements", ["z", "nowhere", "x"], ["y"], axis=0),
        ],
        ["y"],
    ),
    "a mask without a finite value": lambda: file(
        [
            node("Greater", ["x", "zero"], ["k"]),
            node("Where", ["k", "lowest", "lowest"], ["lows"]),
            node("Max", ["lows", "x"], ["y"]),
        ],
        ["y"],
    ),
    "factors beyond half precision": lambda: file(
        [
            node("MatMul", ["x", "w"], ["m"]),
            node("Mul", ["m", "many"], ["l"]),
            node("Div", ["l", "million"], ["y"]),
        ],
        ["y"],
    ),
    "a part that holds nothing": lambda: file(
        [
            node("MatMul", ["x", "w"], ["m"]),
            node("Split", ["m", "all"], ["most", "rest"], axis=1),
            node("MatMul", ["most", "v"], ["p"]),
            node("Concat", ["p", "rest"], ["y"], axis=1),
        ],
        ["y"],
    ),
    "a sequence of tensors": lambda: file(
        [
            node("SplitToSequence", ["x"], ["parts"], axis=1),
            node("ConcatFromSequence", ["parts"], ["c"], axis=1),
            node("MatMul", ["c", "w"], ["y"]),
        ],
        ["y"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_becomes_of_it_it_answers_as_it_did(tmp_path: Path, case: str) -> None:
    path = nets.written(CASES[case](), tmp_path)
    samples = [(row[None],) for row in RNG.normal(size=(16, 8)).astype("float32")]
    source, format_ = Onnx("model.onnx"), Format()
    came, adopted = list(source.answers(path, samples)), source.adopt(path, (TensorSpec("x", (8,)),))
    for right, answer in zip(came, format_.run(adopted, samples), strict=True):
        for mine, theirs in zip(answer, right, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert format_.work(adopted)
    assert format_.lifetimes(adopted)
    for how in WAYS:
        made = format_.quantize(adopted, how, samples if how.technique == "static" else ())
        for right, answer in zip(came, format_.run(made, samples), strict=True):
            for mine, theirs in zip(answer, right, strict=True):
                assert mine.shape == theirs.shape
                np.testing.assert_allclose(mine, theirs, atol=0.1 * np.abs(theirs).max() + 0.2, err_msg=how.technique)


@pytest.mark.parametrize("named", [True, False])
def test_operators_of_others_are_named_with_what_to_do(tmp_path: Path, named: bool) -> None:
    """Whether the file names their domain among its opsets or not."""
    model = file([node("Quant", ["x"], ["y"], domain="finn.custom")], ["y"])
    model.opset_import.extend([helper.make_opsetid("finn.custom", 1)] if named else [])
    path = nets.written(model, tmp_path)
    told = "has operators that ONNX Runtime does not know: Quant of finn.custom"
    for look in (lambda: _onnx_look.look(path), lambda: Onnx("model.onnx").adopt(path, (TensorSpec("x", (8,)),))):
        with pytest.raises(UsageError) as caught:
            look()
        assert caught.value.reason == told


def test_a_file_of_whole_numbers_has_no_activations(tmp_path: Path) -> None:
    graph = helper.make_graph([node("Abs", ["x"], ["y"])], "g", [info("x", INT64, [1, 8])], [info("y", INT64, None)])
    path = nets.written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    adopted = Onnx("model.onnx").adopt(path, (TensorSpec("x", (8,), "int64"),))
    with pytest.raises(UsageError, match="there is nothing to quantize"):
        Format().quantize(adopted, Quantization("static"), [(np.ones((1, 8), "int64"),)])


def test_operators_before_those_that_they_read_become_a_module(tmp_path: Path) -> None:
    path = nets.written(file([node("Relu", ["m"], ["y"]), node("MatMul", ["x", "w"], ["m"])], ["y"]), tmp_path)
    adopted = Onnx("model.onnx").adopt(path, (TensorSpec("x", (8,)),))
    assert prove(lift(adopted), adopted).equal


@pytest.mark.parametrize("way", ["operator", "numbers"])
def test_weights_count_however_a_file_has_them(tmp_path: Path, way: str) -> None:
    plain = file([node("MatMul", ["x", "w"], ["y"])], ["y"])
    other = file([node("MatMul", ["x", "k"], ["y"])], ["y"])
    numbers = helper.make_tensor("k", FLOAT, [8, 4], HELD["w"].ravel())
    if way == "operator":
        other.graph.node.insert(0, node("Constant", [], ["k"], value=numbers))
    else:
        other.graph.initializer.append(numbers)
    for model in (plain, other):
        kept = [tensor for tensor in model.graph.initializer if tensor.name in ("w" if model is plain else "k")]
        model.graph.ClearField("initializer")
        model.graph.initializer.extend(kept)
    ways = [nets.written(model, tmp_path, f"{k}.onnx") for k, model in enumerate((plain, other))]
    files = [Onnx(path.name).adopt(path, (TensorSpec("x", (8,)),)) for path in ways]
    assert [[one.count for one in Format().constants(content)] for content in files] == [[32], [32]]
    sizes = [len(Format().quantize(content, Quantization("weights_only"), ())) for content in files]
    assert abs(sizes[0] - sizes[1]) < 16


def chosen(least: float) -> onnx.ModelProto:
    """The places of what is above a value, as many as there are."""
    nodes = [node("Greater", ["x", "least"], ["k"]), node("NonZero", ["k"], ["y"])]
    held = [numpy_helper.from_array(np.float32(least), "least")]
    graph = helper.make_graph(nodes, "g", [info("x", FLOAT, [1, 8])], [info("y", INT64, None)], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_an_output_whose_size_depends_on_values_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = nets.written(chosen(0.5), tmp_path)
    with pytest.raises(UsageError) as refused:
        answered.shapes(Onnx("model.onnx"), path, (TensorSpec("x", (8,)),))
    assert "answers [1, 2, 0] to zeros: how much an output holds depends on values" in refused.value.line
    assert "NonMaxSuppression" in refused.value.line


def test_answers_of_several_sizes_are_refused_where_zeros_did_not_show_it(tmp_path: Path) -> None:
    path = nets.written(chosen(-0.5), tmp_path)
    signature = Signature((TensorSpec("x", (8,)),), (TensorSpec("y", (2, 8), "int64"),))
    data = tmp_path / "data"
    load = LoadData(Noise(examples=20), signature, (Head("y", "agreement"),))
    tiny.perform(load, data, {})
    inputs = {"file": ("file", tmp_path), "data": ("data", data)}
    with pytest.raises(UsageError, match=r"answers \[\[1, 2, \d\]\] to one example and \[\[1, 2, \d\]\] to another"):
        tiny.perform(OriginalOutputs(Onnx("model.onnx"), path.name), tmp_path / "out", inputs)


def test_an_example_that_the_runtime_refuses_is_the_datas_fault_and_says_what_to_do(tmp_path: Path) -> None:
    rows = numpy_helper.from_array(np.zeros((1, 4), "float32"), "rows")
    graph = helper.make_graph(
        [node("Gather", ["rows", "x"], ["y"])], "g", [info("x", INT64, [1, 8])], [info("y", FLOAT, None)], [rows]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = nets.written(model, tmp_path)
    signature = Signature((TensorSpec("x", (8,), "int64"),), (TensorSpec("y", (8, 4)),))
    data = tmp_path / "data"
    tiny.perform(LoadData(Noise(examples=20), signature, (Head("y", "agreement"),)), data, {})
    inputs = {"file": ("file", tmp_path), "data": ("data", data)}
    with pytest.raises(UsageError, match="refuses an example of the test split: .*out of data bounds") as refused:
        tiny.perform(OriginalOutputs(Onnx("model.onnx"), path.name), tmp_path / "out", inputs)
    assert "numbers" in refused.value.line


@pytest.mark.parametrize("kind", ["RandomNormalLike", "Identity"])
def test_a_file_that_answers_otherwise_the_second_time_is_told(tmp_path: Path, kind: str) -> None:
    nodes = [node(kind, ["x"], ["z"]), node("Add", ["x", "z"], ["y"])]
    graph = helper.make_graph(nodes, "g", [info("x", FLOAT, [1, 8])], [info("y", FLOAT, [1, 8])])
    path = nets.written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    signature, data = Signature((TensorSpec("x", (8,)),), (TensorSpec("y", (8,)),)), tmp_path / "data"
    tiny.perform(LoadData(Noise(examples=20), signature, (Head("y", "agreement"),)), data, {})
    inputs = {"file": ("file", tmp_path), "data": ("data", data)}
    step = OriginalOutputs(Onnx("model.onnx"), path.name)
    lines = notes.read(tiny.perform(step, tmp_path / "out", inputs))
    assert [line.partition(", is answered")[0] for line in lines] == (
        ["the first example, asked once more at the end"] if kind == "RandomNormalLike" else []
    )
    with np.load(tmp_path / "out" / "outputs.npz") as stored:
        assert len(stored["0"]) == len(dataset.read(data, "test"))
