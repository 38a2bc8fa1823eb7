"""ONNX: the dynamo exporter, ONNX Runtime's quantizer, and files without what no runtime reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import (
    _calibration,
    _onnx_apart,
    _onnx_files,
    _onnx_half,
    _onnx_memory,
    _onnx_quantize,
    _onnx_ready,
    _onnx_repaired,
    _onnx_single,
    _onnx_table,
    _onnx_weights,
    _onnx_work,
    _refusals,
)
from edgebuild.spec.constant import Constant
from edgebuild.spec.format import Format
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Layer, Missing, Quantization, Range, Support
from edgebuild.spec.work import Work

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, nn

    from edgebuild.spec.signature import Signature

    Sample = tuple[np.ndarray[Any, Any], ...]

OPSET = 20


class Onnx(Format):
    """Files of one `.onnx` each, weights inside; `runtime` is the distribution that executes them."""

    file: ClassVar[str] = "model.onnx"
    loader: ClassVar[str] = "edgebuild.travels.load_onnx"
    runtime: ClassVar[str] = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime", "onnxconverter-common")
    tools: ClassVar[tuple[str, ...]] = requires
    preloads: ClassVar[tuple[str, ...]] = (
        *("onnx", "onnxscript", "onnxscript.function_libs.torch_lib.ops"),
        "torch.onnx._internal.exporter._compat",  # what PyTorch's exporter imports when it is first called
    )
    tolerance: ClassVar[float] = 0.02  # processors without VNNI saturate sums of uint8 × int8 products
    real: ClassVar[tuple[Support, ...]] = (
        Support("static", ("int8",), ("channel", "tensor"), "all but recurrent layers", "int8", ("uint8", "int8")),
        Support("dynamic", ("int8",), ("channel", "tensor"), "matrices, embeddings, LSTM", "int8, ranges at run time"),
        Support("dynamic", ("int4", "int8"), ("block",), "matrices, embeddings", "int8, ranges at run time"),
        Support("weights_only", ("int8", "int4"), ("channel", "tensor"), "all layers", "float32, widened when loaded"),
        Support("weights_only", ("int4", "int8"), ("block",), "matrices, embeddings", "float32"),
        Support("weights_only", ("float16",), ("channel",), "all layers", "float32, widened when loaded"),
        Support("float16", ("float16",), ("channel",), "all operators", "float16 where the CPU has it"),
    )
    unreal: ClassVar[tuple[Missing, ...]] = (
        Missing("static", "a file has nowhere to say the scale of its inputs", 'io = "float32"', borders=("int8",)),
        Missing("static", "there are no kernels with blocks and integer activations", "dynamic_int8", (), ("block",)),
        Missing("static", "integer kernels take int8 weights alone", "weights_only, or dynamic_int8", ("int4",)),
        Missing("dynamic", "by channel there are kernels for int8 alone", 'granularity = "block"', ("int4",)),
    )

    def convert(self, module: nn.Module, example: tuple[Tensor, ...], layout: str | None = None) -> bytes:
        """A float32 file with the static shapes of `example`; inputs, outputs and names as in PyTorch."""
        import torch

        _onnx_table.keep()
        program = torch.onnx.export(
            module.eval(), example, dynamo=True, external_data=False, opset_version=OPSET, verbose=False
        )
        assert program is not None  # dynamo=True always returns a program
        model, weights = _onnx_apart.exported(program.model)
        named = _onnx_files.name_layers(_onnx_files.outputs_computed(model))
        return _onnx_apart.together(_onnx_files.clean(named), weights)

    def named(self, model: bytes, signature: Signature) -> bytes:
        """The same file with the declared names of inputs and outputs, in their order."""
        whole, weights = _onnx_apart.apart(model)
        return _onnx_apart.together(_onnx_files.name_ends(whole, signature), weights)

    def whole(self, file: Path) -> tuple[bytes | None, tuple[str, ...]]:
        """With weights of other files inside, outputs that are arrays of numbers, and operators with names of their
        own; None for what is no model, of which its runtime says what it is.
        """
        return _onnx_repaired.whole(file)

    def operators(self, model: bytes) -> tuple[str, ...]:
        """The kind of every operator of any file, in the file's order."""
        import onnx

        return tuple(node.op_type for node in onnx.load_from_string(model).graph.node)

    def layers(self, model: bytes) -> tuple[Layer, ...]:
        """The operators of a float file that have weights, in the file's order."""
        return _onnx_quantize.layers(_onnx_ready.ready(model))

    def activations(self, model: bytes, samples: Sequence[Sample]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """Every float value that a float file computes from one sample after another, by the names of `observe`."""
        return _onnx_quantize.activations(_onnx_ready.ready(model), samples)

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""
        return _onnx_memory.lifetimes(model)

    def work(self, model: bytes) -> tuple[Work, ...]:
        """What each operator does, as it is executed: files with equal ones err alike where time is predicted."""
        return _onnx_work.work(model)

    def observe(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> dict[str, Range]:
        """The ranges of all activations of a float file; a sample is one tuple of inputs in the file's shapes."""
        with _refusals.of("ONNX Runtime", "showing what the file computes inside", _onnx_quantize.failing):
            prepared = _onnx_ready.ready(model)
            ranges = _calibration.calibrate(lambda: _onnx_quantize.activations(prepared, samples), how)
            return _onnx_quantize.with_masks(prepared, ranges)

    def run(self, model: bytes, samples: Sequence[Sample]) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
        """The outputs of any file for one sample after another, in the runtime as it is used."""
        from edgebuild.travels import load_onnx

        loaded = load_onnx.Model(model, {})
        return (tuple(loaded.answer(sample)) for sample in samples)

    def quantize(self, model: bytes, how: Quantization, samples: Sequence[Sample] = ()) -> bytes:
        """The quantized file; a static technique takes the ranges that `how` does not give from `samples`.

        Without samples `how` must give them all.
        """
        techniques = {
            "static": lambda: self._static(model, how, samples),
            "dynamic": lambda: self._dynamic(model, how),
            "weights_only": lambda: self._weights_only(model, how),
            "float16": lambda: self._float16(model),
        }
        with _refusals.of("ONNX Runtime's quantizer", "quantizing the file", _onnx_quantize.failing):
            return _onnx_files.strip(techniques[how.technique]())

    def _static(self, model: bytes, how: Quantization, samples: Sequence[Sample]) -> onnx.ModelProto:
        ranges = self.observe(model, how, samples) if samples or not how.ranges else how.ranges
        return _onnx_quantize.static(_onnx_ready.ready(model), ranges, how)

    def _dynamic(self, model: bytes, how: Quantization) -> onnx.ModelProto:
        import onnx

        if how.granularity == "block":
            return _onnx_weights.blocks(_onnx_single.single(onnx.load_from_string(model)), how)
        return _onnx_quantize.dynamic(_onnx_ready.ready(model), how)

    def _weights_only(self, model: bytes, how: Quantization) -> onnx.ModelProto:
        import onnx

        make = _onnx_weights.blocks if how.granularity == "block" else _onnx_weights.widened
        return make(_onnx_single.single(onnx.load_from_string(model)), how)

    def _float16(self, model: bytes) -> onnx.ModelProto:
        import onnx

        return _onnx_half.half(onnx.load_from_string(model))

    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file; those that are not stored as raw bytes are left out."""
        import onnx

        stored, position = [], 0
        for tensor in onnx.load_from_string(model).graph.initializer:
            start = model.find(tensor.raw_data, position) if tensor.raw_data else -1
            if start >= 0:
                stored.append(Constant.of(start, len(tensor.raw_data), math.prod(tensor.dims)))
                position = stored[-1].end
        return stored
