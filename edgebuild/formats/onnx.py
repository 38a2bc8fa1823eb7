"""ONNX: the dynamo exporter, ONNX Runtime's quantizer, and files without what no runtime reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import _calibration, _onnx_files, _onnx_memory, _onnx_quantize
from edgebuild.spec.constant import Constant
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Layer, Quantization, Range

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Sample = tuple[np.ndarray[Any, Any], ...]

OPSET = 20


class Onnx:
    """Files of one `.onnx` each, weights inside; `runtime` is the distribution that executes them."""

    file: ClassVar[str] = "model.onnx"
    runtime: ClassVar[str] = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime", "onnxconverter-common")
    tools: ClassVar[tuple[str, ...]] = requires

    def convert(self, module: nn.Module, example: tuple[Tensor, ...]) -> bytes:
        """A float32 file with the static shapes of `example`; inputs, outputs and names as in PyTorch."""
        import torch

        program = torch.onnx.export(
            module.eval(), example, dynamo=True, external_data=False, opset_version=OPSET, verbose=False
        )
        assert program is not None  # dynamo=True always returns a program
        return _onnx_files.to_bytes(_onnx_files.clean(_onnx_files.name_layers(program.model_proto)))

    def float16(self, model: bytes) -> bytes:
        """Weights and arithmetic in float16, inputs and outputs still float32."""
        import onnx
        from onnxconverter_common.float16 import convert_float_to_float16

        return _onnx_files.strip(convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True))

    def layers(self, model: bytes) -> tuple[Layer, ...]:
        """The operators of a float file that have weights, in the file's order."""
        return _onnx_quantize.layers(_onnx_quantize.ready(model))

    def activations(self, model: bytes, samples: Sequence[Sample]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """Every float value that a float file computes from one sample after another, by the names of `observe`."""
        return _onnx_quantize.activations(_onnx_quantize.ready(model), samples)

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""
        return _onnx_memory.lifetimes(model)

    def observe(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> dict[str, Range]:
        """The ranges of all activations of a float file; a sample is one tuple of inputs in the file's shapes."""
        prepared = _onnx_quantize.ready(model)
        return _calibration.calibrate(lambda: _onnx_quantize.activations(prepared, samples), how)

    def quantize(self, model: bytes, how: Quantization, samples: Sequence[Sample] = ()) -> bytes:
        """The quantized file; `samples` set the ranges that `how` does not give."""
        prepared = _onnx_quantize.ready(model)
        ranges = self.observe(model, how, samples) | dict(how.ranges)
        return _onnx_files.strip(_onnx_quantize.static(prepared, ranges, how))

    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file; those that are not stored as raw bytes are left out."""
        import onnx

        found, position = [], 0
        for tensor in onnx.load_from_string(model).graph.initializer:
            start = model.find(tensor.raw_data, position) if tensor.raw_data else -1
            if start >= 0:
                found.append(Constant.of(start, len(tensor.raw_data), math.prod(tensor.dims)))
                position = found[-1].end
        return found
