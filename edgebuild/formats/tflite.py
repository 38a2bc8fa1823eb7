"""TFLite: litert-torch exports, ai-edge-quantizer quantizes, and inner names that no runtime reads are dropped."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import _calibration, _tflite_graph, _tflite_memory, _tflite_quantize
from edgebuild.spec.constant import Constant
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Layer, Quantization, Range

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Sample = tuple[np.ndarray[Any, Any], ...]


class Tflite:
    """Files of one `.tflite` each; `runtime` is the distribution that executes them."""

    file: ClassVar[str] = "model.tflite"
    runtime: ClassVar[str] = "ai-edge-litert"
    requires: ClassVar[tuple[str, ...]] = ("litert-torch", "ai-edge-quantizer", "ai-edge-litert")
    tools: ClassVar[tuple[str, ...]] = requires

    def convert(self, module: nn.Module, example: tuple[Tensor, ...]) -> bytes:
        """A float32 file with the static shapes of `example`; inputs and outputs as in PyTorch.

        Inner tensors keep their names: the quantizer tells tensors apart by them.
        """
        os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
        import litert_torch

        edge = litert_torch.convert(module.eval(), example)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, self.file)
            edge.export(str(path))
            return path.read_bytes()

    def float16(self, model: bytes) -> bytes:
        """Weights of convolutions and matrices in float16; computed in float32 where the CPU has no half precision."""
        from ai_edge_quantizer import qtyping, quantizer

        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
        job = quantizer.Quantizer(model)
        every = qtyping.TFLOperationName.ALL_SUPPORTED
        job.update_quantization_recipe(".*", every, config, quantizer.AlgorithmName.FLOAT_CASTING)
        return _strip(bytes(job.quantize(enable_progress_report=False).quantized_model))

    def layers(self, model: bytes) -> tuple[Layer, ...]:
        """The operators of a float file that have weights, in the file's order."""
        return _tflite_graph.layers(model)

    def activations(self, model: bytes, samples: Sequence[Sample]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """Every float value that a float file computes from one sample after another, by the names of `observe`."""
        return _tflite_graph.activations(model, samples)

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""
        return _tflite_memory.lifetimes(model)

    def observe(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> dict[str, Range]:
        """The ranges of all activations of a float file; a sample is one tuple of inputs in the file's shapes."""
        return _calibration.calibrate(lambda: _tflite_graph.activations(model, samples), how)

    def quantize(self, model: bytes, how: Quantization, samples: Sequence[Sample] = ()) -> bytes:
        """The quantized file; `samples` set the ranges that `how` does not give."""
        ranges = self.observe(model, how, samples) | dict(how.ranges)
        return _strip(_tflite_quantize.static(model, ranges, how))

    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file; those that lie outside the flatbuffer are left out."""
        import numpy as np
        from ai_edge_litert.schema_py_generated import Model

        root, base = Model.GetRootAs(model), _address(np.frombuffer(model, np.uint8))
        graphs = [root.Subgraphs(number) for number in range(root.SubgraphsLength())]
        tensors = [graph.Tensors(number) for graph in graphs for number in range(graph.TensorsLength())]
        found = []
        for tensor in tensors:
            data = root.Buffers(tensor.Buffer()).DataAsNumpy()
            if not isinstance(data, int):  # 0 where a tensor is computed
                elements = math.prod(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
                found.append(Constant.of(_address(data) - base, len(data), elements))
        return found


def _address(data: np.ndarray[Any, Any]) -> int:
    address: int = data.__array_interface__["data"][0]
    return address


def _strip(model: bytes) -> bytes:
    """The same model without the names of inner tensors (15 % of a small file)."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for graph in parsed.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if number in named else None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
