"""TFLite: litert-torch exports, ai-edge-quantizer quantizes, and inner names that no runtime reads are dropped."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import (
    _calibration,
    _refusals,
    _tflite_graph,
    _tflite_layout,
    _tflite_memory,
    _tflite_names,
    _tflite_quantize,
    _tflite_work,
)
from edgebuild.spec.constant import Constant
from edgebuild.spec.format import Format
from edgebuild.spec.layout import NCHW, NHWC, Layouts
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Layer, Missing, Quantization, Range, Support
from edgebuild.spec.work import Work

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from edgebuild.spec.signature import Signature

    Sample = tuple[np.ndarray[Any, Any], ...]


class Tflite(Format):
    """Files of one `.tflite` each; `runtime` is the distribution that executes them."""

    file: ClassVar[str] = "model.tflite"
    loader: ClassVar[str] = "edgebuild.travels.load_tflite"
    runtime: ClassVar[str] = "ai-edge-litert"
    requires: ClassVar[tuple[str, ...]] = ("litert-torch", "ai-edge-quantizer", "ai-edge-litert")
    tools: ClassVar[tuple[str, ...]] = requires
    preloads: ClassVar[tuple[str, ...]] = ("litert_torch",)
    layouts: ClassVar[tuple[str, ...]] = (NHWC, NCHW)
    real: ClassVar[tuple[Support, ...]] = (
        Support("static", ("int8",), ("channel", "tensor"), "all operators", "int8", borders=("float32", "int8")),
        Support("dynamic", ("int8",), ("channel", "tensor"), "all layers but depthwise", "int8, ranges at run time"),
        Support("dynamic", ("int4",), ("channel", "block"), "matrices, embeddings", "int8, ranges at run time"),
        Support("weights_only", ("int8",), ("channel", "tensor"), "all layers", "float32, widened when loaded"),
        Support("weights_only", ("float16",), ("channel",), "all layers", "float32, widened when loaded"),
        Support("float16", ("float16",), ("channel",), "all layers", "float32, widened when loaded"),
    )
    unreal: ClassVar[tuple[Missing, ...]] = (
        Missing("static", "int4 convolutions leave the delegate: slower than float", "dynamic_int8", ("int4",)),
        Missing("static", "there are no kernels with blocks and integer activations", "dynamic_int8", (), ("block",)),
        Missing("dynamic", "blocks have kernels for int4 alone", 'granularity = "channel"', ("int8",), ("block",)),
        Missing("weights_only", "blocks have no float kernel", "dynamic_int8", (), ("block",)),
        Missing("weights_only", "int4 would be widened at every inference, 2 to 3 times slower", "int8", ("int4",)),
    )

    def convert(self, module: nn.Module, example: tuple[Tensor, ...], layout: str | None = None) -> bytes:
        """A float32 file with the static shapes of `example`.

        Pictures among inputs and outputs have their channels in `layout`; without it they come last where that saves
        a transpose. All else is as in PyTorch. Inner tensors keep their names: the quantizer tells tensors apart by
        them.
        """
        import torch

        with torch.no_grad():
            answer = module.eval()(*example)
        answers = (answer,) if isinstance(answer, torch.Tensor) else tuple(answer)
        inputs, outputs = (_tflite_layout.images(tensors, layout) for tensors in (example, answers))
        model = self._export(module, example, inputs, outputs)
        if layout is None and any((*inputs, *outputs)):
            kept = _tflite_layout.useful(model, inputs, outputs)
            model = model if kept == (inputs, outputs) else self._export(module, example, *kept)
            inputs, outputs = kept
        return _tflite_layout.mark(model, inputs, outputs) if any((*inputs, *outputs)) else model

    def named(self, model: bytes, signature: Signature) -> bytes:
        """The same file with the declared names of inputs and outputs in its signature, in their order."""
        return _tflite_names.name_ends(model, signature)

    def _export(self, module: nn.Module, example: tuple[Tensor, ...], inputs: Layouts, outputs: Layouts) -> bytes:
        os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
        import litert_torch

        sides = [[number for number, layout in enumerate(side) if layout] for side in (inputs, outputs)]
        if any(sides):
            module = litert_torch.to_channel_last_io(module, *sides).eval()
        arguments = tuple(map(_tflite_layout.channels_last, example, inputs))
        edge = litert_torch.convert(module, arguments)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, self.file)
            edge.export(str(path))
            return path.read_bytes()

    def layouts_of(self, model: bytes) -> tuple[Layouts, Layouts]:
        """The layouts of a file's inputs and outputs, by position; empty where all are as in PyTorch."""
        return _tflite_layout.read(model)

    def operators(self, model: bytes) -> tuple[str, ...]:
        """The kind of every operator of any file, in the file's order."""
        from ai_edge_litert.tools import flatbuffer_utils

        parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
        called = [operator.opcodeIndex for graph in parsed.subgraphs for operator in graph.operators]
        return tuple(flatbuffer_utils.opcode_to_name(parsed, index) for index in called)

    def layers(self, model: bytes) -> tuple[Layer, ...]:
        """The operators of a float file that have weights, in the file's order."""
        return _tflite_graph.layers(model)

    def activations(self, model: bytes, samples: Sequence[Sample]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """Every float value that a float file computes from one sample after another, by the names of `observe`."""
        return _tflite_graph.activations(model, samples, self.layouts_of(model)[0])

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""
        return _tflite_memory.lifetimes(model)

    def work(self, model: bytes) -> tuple[Work, ...]:
        """What each operator does, as it is executed: files with equal ones err alike where time is predicted."""
        return _tflite_work.work(model)

    def observe(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> dict[str, Range]:
        """The ranges of all activations of a float file; a sample is one tuple of inputs in the file's shapes."""
        with _refusals.of("LiteRT", "showing what the file computes inside"):
            ranges = _calibration.calibrate(lambda: self.activations(model, samples), how)
            return _tflite_quantize.with_masks(model, ranges)

    def run(self, model: bytes, samples: Sequence[Sample]) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
        """The outputs of any file for one sample after another, in the runtime as it is used, as in PyTorch."""
        from edgebuild.travels import load_tflite

        inputs, outputs = self.layouts_of(model)
        loaded = load_tflite.Model(model, {"layouts": {"inputs": inputs, "outputs": outputs}})
        return (tuple(loaded.answer(sample)) for sample in samples)

    def quantize(self, model: bytes, how: Quantization, samples: Sequence[Sample] = ()) -> bytes:
        """The quantized file; a static technique takes the ranges that `how` does not give from `samples`.

        Without samples `how` must give them all.
        """
        techniques = {
            "static": lambda: self._static(model, how, samples),
            "dynamic": lambda: _tflite_quantize.dynamic(model, how),
            "weights_only": lambda: _tflite_quantize.weights_only(model, how),
            "float16": lambda: _tflite_quantize.weights_only(model, replace(how, technique="weights_only")),
        }
        with _refusals.of("ai-edge-quantizer", "quantizing the file"):
            return _strip(techniques[how.technique]())

    def _static(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> bytes:
        ranges = self.observe(model, how, samples) if samples or not how.ranges else how.ranges
        return _tflite_quantize.static(model, ranges, how)

    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file; those that lie outside the flatbuffer are left out."""
        import numpy as np
        from ai_edge_litert.schema_py_generated import Model

        root, base = Model.GetRootAs(model), _address(np.frombuffer(model, np.uint8))
        graphs = [root.Subgraphs(number) for number in range(root.SubgraphsLength())]
        tensors = [graph.Tensors(number) for graph in graphs for number in range(graph.TensorsLength())]
        stored = []
        for tensor in tensors:
            data = root.Buffers(tensor.Buffer()).DataAsNumpy()
            if not isinstance(data, int):  # 0 where a tensor is computed
                elements = math.prod(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
                stored.append(Constant.of(_address(data) - base, len(data), elements))
        return stored


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
