"""The file that was lifted, in its own runtime: what it answers to one example, and to several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import drawing, prepare
from edgebuild.nn.lift.errors import LiftError
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]


class Reference:
    """ONNX Runtime with the file; `inputs` and `outputs` are names, those of constants left out."""

    def __init__(self, model: bytes, sizes: Mapping[str, int], constants: Mapping[str, Array]) -> None:
        import numpy as np
        import onnxruntime

        parsed = prepare.parse(model)
        self._values = [value for value in prepare.inputs(parsed) if value.name not in constants]
        self._sizes, self._batches = sizes, prepare.batch_names(parsed, sizes)
        held = [value for value in prepare.inputs(parsed) if value.name in constants]
        self._fed = {value.name: np.asarray(constants[value.name], _type(value)) for value in held}
        self._choices = drawing.vocabularies(parsed.graph)
        self.outputs = tuple(value.name for value in parsed.graph.output)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if exhausted(error):
                raise
            raise LiftError(f"ONNX Runtime refuses it: {_first_line(error)}") from None

    def draw(self, seed: int) -> Sample:
        """One example of noise."""
        import numpy as np

        generator = np.random.default_rng(seed)
        return tuple(
            drawing.draw(generator, _type(value), self._shape(value), self._choices.get(value.name))
            for value in self._values
        )

    def answer(self, sample: Sample) -> list[Array]:
        """The outputs; LiftError where the runtime fails on this sample."""
        named = {value.name: array for value, array in zip(self._values, sample, strict=True)}
        try:
            answers: list[Array] = self._session.run([*self.outputs], {**named, **self._fed})
        except Exception as error:
            if exhausted(error):
                raise
            raise LiftError(f"ONNX Runtime does not run it: {_first_line(error)}") from None
        return answers

    def together(self, samples: Sequence[Sample]) -> Sample:
        """Several examples as one, each input along its batch (the first axis where it has none)."""
        import numpy as np

        axes = [prepare.batch_axis(value, self._batches) or 0 for value in self._values]
        return tuple(np.concatenate(parts, axis) for parts, axis in zip(zip(*samples, strict=True), axes, strict=True))

    def _shape(self, value: onnx.ValueInfoProto) -> list[int]:
        dimensions = value.type.tensor_type.shape.dim
        sizes = [prepare.size_of(value, axis, self._sizes) or 1 for axis in range(len(dimensions))]
        return [
            sizes[axis] if prepare.is_open(value, axis) else dimension.dim_value
            for axis, dimension in enumerate(dimensions)
        ]


def _type(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    import numpy as np
    import onnx

    kind: np.dtype[Any] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return kind


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
