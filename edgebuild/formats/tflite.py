"""TFLite: litert-torch exports, ai-edge-quantizer quantizes, and inner names that no runtime reads are dropped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Sample = tuple[np.ndarray[Any, Any], ...]

_SIGNATURE = "serving_default"


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

    def int8(self, model: bytes, samples: Iterable[Sample], *, signed: bool) -> bytes:
        """Static int8, weights symmetric per channel; a sample is one tuple of inputs in the file's shapes.

        TFLite's integer kernels take signed activations alone, whatever `signed` says.
        """
        from ai_edge_quantizer import qtyping, quantizer, recipe

        del signed
        job = quantizer.Quantizer(model, recipe.static_wi8_ai8())
        for edge in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            job.update_quantization_recipe(".*", edge, None, quantizer.AlgorithmName.NO_QUANTIZE)
        result = job.quantize(_ranges(job, samples), enable_progress_report=False)
        return _strip(bytes(result.quantized_model))


def _ranges(job: Any, samples: Iterable[Sample]) -> dict[str, Any]:
    """True minimum and maximum of every tensor: the default, a moving average, forgets rare activations."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    run = calibrator.Calibrator(job._float_model_buffer, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    feeds = [{f"args_{i}": _as_taken(value) for i, value in enumerate(sample)} for sample in samples]
    run.calibrate({_SIGNATURE: feeds}, job._recipe_manager)
    ranges: dict[str, Any] = run.get_model_qsvs()
    return ranges


def _as_taken(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """litert-torch makes int32 inputs of PyTorch's int64."""
    return value.astype("int32") if value.dtype == "int64" else value


def _strip(model: bytes) -> bytes:
    """The same model without the names of inner tensors (15 % of a small file)."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for graph in parsed.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if number in named else None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
