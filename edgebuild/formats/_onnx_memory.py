"""What of an .onnx file is in memory when, by the graph that ONNX Runtime makes of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _lifetimes
from edgebuild.spec.lifetime import Lifetime

if TYPE_CHECKING:
    import onnx

_NUMPY = {"float": "float32", "double": "float64"}  # names of ONNX Runtime that are not numpy's


def lifetimes(model: bytes) -> tuple[Lifetime, ...]:
    """The activations after the runtime's extended fusions: int8 where it computes in int8, whatever the file says.

    Layouts of one processor family are not among those. Sizes are seen in a run on zeros; activations of inner graphs
    (loops) are not counted.
    """
    fused = optimized(model)
    graph = fused.graph
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    operators = [(list(node.input), [name for name in node.output if name]) for node in graph.node]
    return _lifetimes.of_graph(
        operators, inputs, outputs, {name: value.nbytes for name, value in values(fused).items()}
    )


def optimized(model: bytes) -> onnx.ModelProto:
    """The graph as the runtime executes it, up to layouts of one processor family; the model itself where the runtime
    would not take that back, since what it adds to inner graphs (Scan, Loop, If) has one name several times.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 3  # it warns that the file fits this machine only
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        fused = onnx.load(file)
    return fused if assigned_once(fused.graph) else onnx.load_from_string(model)


def assigned_once(graph: onnx.GraphProto, around: frozenset[str] = frozenset()) -> bool:
    """Whether no operator of a graph, or of one inside it, makes what is there already: in the same graph, or in one
    around it.
    """
    names = [name for node in graph.node for name in node.output if name]
    known = around | {*names}
    inner = (own for node in graph.node for one in node.attribute for own in (one.g, *one.graphs))
    return len(known) == len(around) + len(names) and all(assigned_once(own, known) for own in inner)


def values(optimized: onnx.ModelProto) -> dict[str, Any]:
    """What each value of the graph is in a run on zeros, all of them made outputs."""
    import numpy as np
    import onnx
    import onnxruntime

    whole = onnx.ModelProto()
    whole.CopyFrom(optimized)
    outputs = {value.name for value in whole.graph.output}
    computed = [name for node in whole.graph.node for name in node.output if name and name not in outputs]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed: dict[str, Any] = {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in value.shape]
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        feed[value.name] = np.zeros(shape, _NUMPY.get(kind, kind))
    odd = {value.name: value.shape for value in session.get_outputs() if "bfloat16" in value.type}
    names = [value.name for value in session.get_outputs() if value.name not in odd]
    results = zip(names, session.run(names, feed), strict=True)
    known = {name: _joined(value) if isinstance(value, list) else value for name, value in results}
    return known | {name: _of_bfloat16(shape) for name, shape in odd.items()} | feed


def _of_bfloat16(shape: list[int | str | None]) -> Any:
    """As many bytes: numpy has no such type."""
    import numpy as np

    return np.zeros([size if isinstance(size, int) else 1 for size in shape], np.float16)


def _joined(sequence: list[Any]) -> Any:
    """All values of a sequence of tensors, whose bytes are what counts."""
    import numpy as np

    return np.concatenate([np.asarray(one).ravel() for one in sequence] or [np.zeros(0, np.float32)])
