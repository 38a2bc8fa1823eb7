"""A data set of five times the memory that a step has for it goes through loading, training, calibrating and judging.

Each step runs in a worker as the engine starts it, below the limit that the engine sets.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebuild.data.function import Function
from edgebuild.devices.local import Local
from edgebuild.engine.task import Limits, Task
from edgebuild.engine.worker import Worker
from edgebuild.sources.onnx import Onnx
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input, Step
from edgebuild.spec.model import Training
from edgebuild.spec.reads import Memo
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.load_data import LoadData
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.train import Train
from tests.steps.weighed import Weighed

MIB = 2**20
SIDE = 512
FLOATS = 4 * SIDE * SIDE  # bytes of an example as the model takes it: 1 MiB


def weighed(*modules: str) -> int:
    """Bytes of data that a worker has before it does anything: PyTorch's CUDA build takes far more than its other.

    And by what its fork server imports ahead, which depends on who started that.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worker = Worker(Task("weighed", Weighed(modules), {}, folder, folder / "curves"), Limits())
        assert worker.outcome() is None
        return int((folder / "output" / "bytes").read_text())


# Memory for what a step does, beside what its worker has before it; and examples that are five times as large, and as
# pixels still larger.
OF_TORCH, OF_NUMPY = 180 * MIB, 130 * MIB
EXAMPLES = {"train": 5 * OF_TORCH // FLOATS + 8, "test": 5 * OF_NUMPY // FLOATS + 1}


@dataclass(frozen=True)
class Sizes:
    """Limits of memory, for steps with PyTorch and without."""

    of_torch: int
    of_numpy: int


@pytest.fixture(scope="module")
def sizes() -> Sizes:
    return Sizes(weighed("torch") + OF_TORCH, weighed("numpy") + OF_NUMPY)


SIGNATURE = Signature((TensorSpec("image", (1, SIDE, SIDE)),), (TensorSpec("output", (2,)),))
CODE = f"""
import numpy as np
def load(reads):
    parts = {{name: np.load(reads[f"../{{name}}.npy"], mmap_mode="r") for name in ("train", "test")}}
    labels = {{name: np.arange(len(x)) % 2 for name, x in parts.items()}}
    few = {{"validation": (parts["test"][:2], labels["test"][:2])}}
    return {{name: (x, labels[name]) for name, x in parts.items()}} | few
def build():
    import torch
    return torch.nn.Sequential(torch.nn.AvgPool2d({SIDE // 4}), torch.nn.Flatten(), torch.nn.Linear(16, 2))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code, files of pixels that take no disk (they are holes), and an ONNX file."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "code").mkdir()
    (folder / "code" / "model.py").write_text(CODE)
    for name, count in EXAMPLES.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (count, 1, SIDE, SIDE))
    (folder / "onnx").mkdir()
    pool = {"kernel_shape": [SIDE // 4] * 2, "strides": [SIDE // 4] * 2}
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], name="pool", **pool),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "weight"], ["output"], name="fc"),
    ]
    sides = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, SIDE, SIDE]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 2]),
    ]
    weight = numpy_helper.from_array(np.ones((16, 2), np.float32), "weight")
    graph = helper.make_graph(nodes, "net", [sides[0]], [sides[1]], [weight])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "onnx" / "model.onnx",
    )
    return folder


def run(root: Path, name: str, step: Step, inputs: dict[str, str], memory: int) -> None:
    """Run a step in a worker below a limit of memory; what it makes is below `root` by its name."""
    kinds = {"code": "code", "data": "data", "onnx": "onnx", "file": "file"}
    found = {role: Input(kinds.get(item, item), "0" * 64, root / item) for role, item in inputs.items()}
    folder = root / f"{name}.run"
    folder.mkdir()
    worker = Worker(Task(name, step, found, folder, folder / "curves"), Limits(memory=memory, seconds=300))
    error = worker.outcome()
    assert error is None, f"{error}\n{(folder / 'log.txt').read_text()[-3000:]}"
    (folder / "output").rename(root / name)


def test_a_set_of_five_times_the_memory_is_loaded_learnt_from_calibrated_on_and_judged(
    root: Path, sizes: Sizes
) -> None:
    heads = (Head("output", "classification"),)
    reads = tuple(read for name in ("train", "test") if (read := Memo().read(root / "code", f"../{name}.npy")))
    run(root, "data", LoadData(Function("load"), SIGNATURE, heads, reads=reads), {"code": "code"}, sizes.of_numpy)
    for split, memory in (("train", OF_TORCH), ("test", OF_NUMPY)):
        pixels = sum(path.stat().st_size for path in (root / "data").glob(f"{split}.0.npy"))
        assert (dataset.examples(root / "data")[split] * FLOATS >= 5 * memory, pixels > memory) == (True, True)
    train = Train("build", SIGNATURE, Training(epochs=1, batch_size=16, learning_rate=1e-6))
    run(root, "torch", train, {"code": "code", "data": "data"}, sizes.of_torch)
    run(root, "int8", Int8(calibration=16), {"model": "onnx", "data": "data"}, sizes.of_torch)
    run(
        root,
        "reference",
        OriginalOutputs(Onnx("model.onnx"), "model.onnx"),
        {"file": "onnx", "data": "data"},
        sizes.of_numpy,
    )
    run(root, "outputs", Outputs(Local(), "host"), {"model": "onnx", "data": "data"}, sizes.of_numpy)
    for name in ("reference", "outputs"):
        with np.load(root / name / "outputs.npz") as stored:
            assert stored["0"].shape == (EXAMPLES["test"], 2)
