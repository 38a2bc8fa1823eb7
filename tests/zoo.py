"""Tiny real models, built once per session."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebuild.travels import runner

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a runner process ended."""

    code: int
    result: dict[str, Any]
    folder: Path

    def outputs(self, name: str) -> list[NDArray[Any]]:
        with np.load(self.folder / f"{name}.outputs.npz") as archive:
            return [archive[str(k)] for k in range(len(archive.files))]


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Ended]:
    """Run the runner as a device would, in a process of its own."""

    def run(mode: str, models: Mapping[str, Path], inputs: Arrays, **options: Any) -> Ended:
        arrays: dict[str, Any] = {str(k): array for k, array in enumerate(inputs)}
        np.savez(tmp_path / "inputs.npz", **arrays)
        specs = [{"name": n, "file": str(f), **options.pop(n, {})} for n, f in models.items()]
        job = {"mode": mode, "models": specs, "inputs": "inputs.npz", **options}
        (tmp_path / "job.json").write_text(json.dumps(job))
        done = subprocess.run([sys.executable, runner.__file__, str(tmp_path)], capture_output=True, timeout=120)
        return Ended(done.returncode, json.loads((tmp_path / "result.json").read_text()), tmp_path)

    return run


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of tiny .onnx models; `wide` is slow, `fixed4` has a static batch, `last` has its channels last."""
    from onnx import TensorProto as T

    folder = tmp_path_factory.mktemp("zoo")
    _dense(folder / "mlp.onnx", ["batch", 4], 16, T.FLOAT)
    _dense(folder / "wide.onnx", ["batch", 4], 200_000, T.FLOAT)
    _dense(folder / "half.onnx", ["batch", 4], 16, T.FLOAT16)
    _dense(folder / "fixed4.onnx", [4, 4], 16, T.FLOAT)
    _node(folder / "tokens.onnx", "Cast", {"tok": (T.INT32, [1, 3])}, T.FLOAT, to=T.FLOAT)
    _node(folder / "minus.onnx", "Sub", {"b": (T.FLOAT, [1, 4]), "a": (T.FLOAT, [1, 4])}, T.FLOAT)
    _channels_last(folder / "last.onnx")
    _node(folder / "total.onnx", "ReduceSum", {"x": (T.FLOAT, ["batch", 4])}, T.FLOAT, keepdims=0)
    return folder


def _save(path: Path, nodes: list[Any], inputs: list[Any], output: Any, weights: list[Any]) -> None:
    import onnx
    from onnx import helper

    graph = helper.make_graph(nodes, "g", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def _dense(path: Path, shape: list[Any], hidden: int, dtype: int) -> None:
    """relu(x·A)·B with 4 inputs and 3 outputs; weights depend on the hidden size alone."""
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(hidden)
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    a, b = rng.normal(size=(4, hidden)).astype(kind), rng.normal(size=(hidden, 3)).astype(kind)
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "B"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", dtype, shape)
    y = helper.make_tensor_value_info("y", dtype, [shape[0], 3])
    _save(path, nodes, [x], y, [numpy_helper.from_array(a, "A"), numpy_helper.from_array(b, "B")])


def _channels_last(path: Path) -> None:
    """A convolution of one pixel: x [1, 5, 4, 3] times [[0, 1], [2, 3], [4, 5]]."""
    from onnx import TensorProto as T
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "W")
    x = helper.make_tensor_value_info("x", T.FLOAT, [1, 5, 4, 3])
    y = helper.make_tensor_value_info("y", T.FLOAT, [1, 5, 4, 2])
    _save(path, [helper.make_node("MatMul", ["x", "W"], ["y"])], [x], y, [weights])


def _node(path: Path, op: str, inputs: dict[str, Any], out: int, **attributes: Any) -> None:
    """A model of one operator."""
    from onnx import helper

    node = helper.make_node(op, list(inputs), ["y"], **attributes)
    values = [helper.make_tensor_value_info(n, *spec) for n, spec in inputs.items()]
    _save(path, [node], values, helper.make_tensor_value_info("y", out, None), [])


def dense(x: NDArray[Any], hidden: int) -> NDArray[Any]:
    """What the models of `_dense` compute."""
    rng = np.random.default_rng(hidden)
    a, b = rng.normal(size=(4, hidden)), rng.normal(size=(hidden, 3))
    return np.asarray(np.maximum(x @ a, 0) @ b)


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the .tflite models of `make_lite`, converted in a child: torch stays out of the tests."""
    folder = tmp_path_factory.mktemp("lite")
    maker = Path(__file__).with_name("make_lite.py")
    done = subprocess.run([sys.executable, str(maker), str(folder)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
