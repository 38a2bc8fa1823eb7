"""ONNX: the dynamo exporter, ONNX Runtime's quantizer, and files without what no runtime reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import onnx
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
        return _bytes(_clean(program.model_proto))

    def float16(self, model: bytes) -> bytes:
        """Weights and arithmetic in float16, inputs and outputs still float32."""
        import onnx
        from onnxconverter_common.float16 import convert_float_to_float16

        return _strip(convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True))

    def int8(self, model: bytes, samples: Iterable[Sample], *, signed: bool) -> bytes:
        """Static int8 QDQ, weights symmetric per channel; a sample is one tuple of inputs in the file's shapes.

        Activations are uint8 (x86 has no fast signed × signed kernels) or, if `signed`, int8.
        """
        import onnx
        from onnxruntime.quantization import QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with tempfile.TemporaryDirectory() as folder:
            ready, done = Path(folder, "ready.onnx"), Path(folder, "done.onnx")
            quant_pre_process(onnx.load_from_string(model), ready)
            quantize_static(
                ready,
                done,
                _reader(onnx.load(ready), samples),
                per_channel=True,
                activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )
            return _strip(onnx.load(done))


def _reader(model: onnx.ModelProto, samples: Iterable[Sample]) -> Any:
    """The samples as the calibration reader that quantize_static asks for."""
    from onnxruntime.quantization import CalibrationDataReader

    names = [value.name for value in model.graph.input]
    feeds = iter([dict(zip(names, sample, strict=True)) for sample in samples])

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            return next(feeds, None)

    return Reader()


def _strip(model: onnx.ModelProto) -> bytes:
    """The cleaned model with numbers for names: what a device needs, and no more."""
    import onnx

    _number(_clean(model).graph)
    onnx.checker.check_model(model, full_check=True)
    return _bytes(model)


def _bytes(model: onnx.ModelProto) -> bytes:
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop (in place) what no runtime reads: doc strings, metadata (it holds source paths), unused domains."""
    graph = model.graph
    for item in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    graph.ClearField("value_info")
    used = {node.domain for node in graph.node}
    domains = [domain for domain in model.opset_import if domain.domain in used]
    model.ClearField("opset_import")
    model.opset_import.extend(domains)
    return model


def _number(graph: onnx.GraphProto) -> None:
    """Replace every node's name, and every value's but those of the graph's own inputs and outputs."""
    kept = {"": ""}  # an absent optional input
    kept |= {value.name: value.name for value in [*graph.input, *graph.output]}
    names = [tensor.name for tensor in graph.initializer]
    for name in names + [name for node in graph.node for name in node.output]:
        kept.setdefault(name, f"{len(kept):x}")
    for tensor in graph.initializer:
        tensor.name = kept[tensor.name]
    for node in graph.node:
        node.name = ""
        node.input[:] = [kept[name] for name in node.input]
        node.output[:] = [kept[name] for name in node.output]
