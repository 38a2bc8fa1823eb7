"""Writes a float TFLite file as ONNX, operator by operator; what has no ONNX is refused with its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _tflite_graph
from edgebuild.formats.tflite_to_onnx import convolutions, elementwise, pools, shapes
from edgebuild.formats.tflite_to_onnx.graph import Call, Graph
from edgebuild.spec.reader import NoGraphError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]

OPSET = 20
# tflite.TensorType → numpy's name; what else there is is refused.
_TYPES = {0: "float32", 2: "int32", 4: "int64", 6: "bool"}


# Named here, and not looked for in the folder: what a step imports is part of its key.
OPERATORS: Mapping[str, Callable[[Call], str | tuple[str, ...]]] = {
    **convolutions.OPERATORS,
    **elementwise.OPERATORS,
    **pools.OPERATORS,
    **shapes.OPERATORS,
}


def translate(model: bytes) -> bytes:
    """The ONNX file, with the inputs and outputs of the TFLite file in the order of its arguments, under its names.

    `model` is as `_tflite_adopt.adopt` leaves it. NoGraphError for operators and types that have no place in ONNX.
    """
    import onnx
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    return _Translation(parsed, _tflite_graph.ends(model), flatbuffer_utils.opcode_to_name, onnx).written()


class _Unsaid:
    """The options of an operator that has none in the file: what a flatbuffer leaves out is zero."""

    def __getattr__(self, name: str) -> int:
        return 0


class _Translation:
    def __init__(
        self, parsed: Any, ends: Iterable[list[str]], name_of: Callable[[Any, int], str | None], onnx: Any
    ) -> None:
        self._parsed, self._name_of, self._onnx = parsed, name_of, onnx
        self._tensors, self._graph = parsed.subgraphs[0].tensors, Graph()
        places = {tensor.name.decode(): place for place, tensor in enumerate(self._tensors)}
        self._ends = [[places[name] for name in side] for side in ends]
        self._known: dict[int, str] = {}  # tensors by the names of their values
        self._arrays: dict[int, Array] = {}

    def written(self) -> bytes:
        """All operators in order."""
        own, helper, (taken, given) = self._parsed.subgraphs[0], self._onnx.helper, self._ends
        for tensor in taken:
            self._known[tensor] = self._graph.free(self._tensors[tensor].name.decode())
        outputs = [self._graph.free(self._tensors[tensor].name.decode()) for tensor in given]
        for operator in own.operators:
            self._add(operator)
        for tensor, name in zip(given, outputs, strict=True):
            self._graph.nodes.append(helper.make_node("Identity", [self._name(tensor)], [name], f"{name}_output"))
        inputs = [self._port(tensor, self._known[tensor]) for tensor in taken]
        answered = [self._port(tensor, name) for tensor, name in zip(given, outputs, strict=True)]
        held = [self._onnx.numpy_helper.from_array(values, name) for name, values in self._graph.constants.items()]
        graph = helper.make_graph(self._graph.nodes, "tflite", inputs, answered, held)
        opsets = [helper.make_opsetid("", OPSET)]
        written: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        return written

    def _add(self, operator: Any) -> None:
        kind = self._name_of(self._parsed, operator.opcodeIndex) or "CUSTOM"
        ends = [*operator.outputs, *operator.inputs]  # what sets a variable has no outputs
        called = self._tensors[int(ends[0])].name.decode() if ends else ""
        label = re.sub(r"[^\w./:-]+", "_", called).strip("/").replace("/", ".")
        function = OPERATORS.get(kind)
        if function is None:
            hint = "what needs the file alone still works"
            raise NoGraphError(f"{kind} {label!r} has no place in ONNX here", hint=hint)
        taken = [int(tensor) for tensor in operator.inputs]
        call = Call(
            kind,
            label,
            self._graph,
            tuple(self._name(tensor) if tensor >= 0 else "" for tensor in taken),
            tuple(self._shape(tensor) if tensor >= 0 else () for tensor in taken),
            tuple(self._array(tensor) if tensor >= 0 else None for tensor in taken),
            operator.builtinOptions or _Unsaid(),
            tuple(self._shape(int(tensor)) for tensor in operator.outputs),
        )
        results = function(call)
        names = results if isinstance(results, tuple) else (results,)
        for tensor, name in zip(map(int, operator.outputs), names, strict=True):
            self._known[tensor] = name

    def _name(self, tensor: int) -> str:
        """Of a value that was computed, or of a constant."""
        if tensor not in self._known:
            values = self._array(tensor)
            name = self._tensors[tensor].name.decode()
            if values is None:
                raise NoGraphError(f"tensor {name!r} has no value: it is a variable, or of another graph")
            self._known[tensor] = self._graph.constant(values, name)
        return self._known[tensor]

    def _array(self, tensor: int) -> Array | None:
        """The values of a constant."""
        import numpy as np

        if tensor not in self._arrays:
            own = self._tensors[tensor]
            data = self._parsed.buffers[own.buffer].data
            if data is None or not len(data):
                return None
            self._arrays[tensor] = np.frombuffer(bytes(data), self._type(own)).reshape(self._shape(tensor))
        return self._arrays[tensor]

    def _shape(self, tensor: int) -> tuple[int, ...]:
        shape = self._tensors[tensor].shape
        return () if shape is None else tuple(int(size) for size in shape)

    @staticmethod
    def _type(tensor: Any) -> str:
        if tensor.type not in _TYPES or (tensor.quantization and tensor.quantization.scale is not None):
            raise NoGraphError(f"tensor {tensor.name.decode()!r} has quantized values, or of a type that is not lifted")
        return _TYPES[tensor.type]

    def _port(self, tensor: int, name: str) -> onnx.ValueInfoProto:
        """What goes in or comes out; the first axis of size 1 is the batch."""
        import numpy as np

        own = self._tensors[tensor]
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self._type(own)))
        return self._onnx.helper.make_tensor_value_info(name, kind, [*self._shape(tensor)])
