"""A recurrent file whose first axis is time and not the batch becomes no module, and goes on as the file it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebuild.data.function import Function
from edgebuild.sources.onnx import Onnx
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.lift_file import LiftFile, refusal
from edgebuild.steps.load_data import LoadData
from tests import tiny

ENDS = Signature(
    (TensorSpec("x", (3,)), TensorSpec("h", (1, 4)), TensorSpec("c", (1, 4))),
    (TensorSpec("y", (4,)), TensorSpec("hn", (1, 4)), TensorSpec("cn", (1, 4))),
)
CODE = """
import numpy as np
def load():
    x = (np.ones((8, 3), np.float32), np.zeros((8, 1, 4), np.float32), np.zeros((8, 1, 4), np.float32))
    return {"train": (x, np.zeros((8, 4), np.float32)), "test": (x, np.zeros((8, 4), np.float32))}
"""


def recurrent(path: Path) -> None:
    """One LSTM whose states are inputs and outputs, as speech models have them."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(1, 16, 3)), "r": random.normal(size=(1, 16, 4)), "b": np.zeros((1, 32))}
    constants = {name: values.astype(np.float32) for name, values in weights.items()} | {"one": np.array([1])}
    nodes = [
        helper.make_node("Unsqueeze", ["x", "one"], ["steps"]),
        helper.make_node("LSTM", ["steps", "w", "r", "b", "", "h", "c"], ["all", "hn", "cn"], hidden_size=4),
        helper.make_node("Squeeze", ["all", "axes"], ["y"]),
    ]
    known = [numpy_helper.from_array(values, name) for name, values in (constants | {"axes": np.array([1, 2])}).items()]
    shapes = {"x": [1, 3], "h": [1, 1, 4], "c": [1, 1, 4], "y": [1, 4], "hn": [1, 1, 4], "cn": [1, 1, 4]}
    ports = [helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "g", ports[:3], ports[3:], known)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def test_a_module_that_takes_one_example_alone_is_refused(source: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    recurrent(tmp_path / "file" / "net.onnx")
    loading = LoadData(Function("load"), ENDS, (Head("y", "regression"),), "models/m")
    data = tiny.perform(loading, tmp_path / "data", {"code": ("code", source(CODE))})
    step = LiftFile(Onnx("net.onnx"), "net.onnx", ENDS, origin="models/m", shown="models/m/net.onnx")
    output = tiny.perform(step, tmp_path / "lifted", {"file": ("", tmp_path / "file"), "data": ("data", data)})
    told = "its PyTorch module takes one example alone: Expected hidden[0] size (1, 1, 4), got [2, 1, 4]"
    assert str(refusal(output)).startswith(told)
