"""ExecuTorch: torch.export, XNNPACK for what it has kernels for, and ExecuTorch's own for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.formats import _lifetimes, _pte_graph, _work
from edgebuild.spec.constant import Constant
from edgebuild.spec.format import Format
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.quantization import Missing
from edgebuild.spec.work import Work
from edgebuild.travels import load_pte

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Sample = tuple[np.ndarray[Any, Any], ...]

_COMPILED = "its weights are packed for the kernels when it is exported, and nothing quantizes it afterwards"
_INSTEAD = "prune_channels and distill, or another format"
# How products are counted, and where data and weights stand among what an operator takes.
_RULES: dict[str, tuple[_work.Rule, int, int]] = {
    "XNNConv2d": ("convolution", 0, 1),
    "XNNDepthwiseConv2d": ("depthwise", 0, 1),
    "XNNConvTranspose2d": ("transposed last", 0, 1),
    "XNNFullyConnected": ("matrix", 0, 1),
    "XNNBatchMatrixMultiply": ("matrix", 0, 1),
    "aten::convolution.out": ("convolution", 0, 1),
    "aten::mm.out": ("matrix", 0, 1),
    "aten::bmm.out": ("matrix", 0, 1),
    "aten::addmm.out": ("matrix", 1, 2),
}


class Pte(Format):
    """Files of one `.pte` each, weights inside; `runtime` is the distribution that executes them."""

    file: ClassVar[str] = "model.pte"
    loader: ClassVar[str] = "edgebuild.travels.load_pte"
    runtime: ClassVar[str] = "executorch"
    runtime_needs: ClassVar[tuple[str, ...]] = ("torch",)
    requires: ClassVar[tuple[str, ...]] = ("executorch", "torch")
    tools: ClassVar[tuple[str, ...]] = requires
    unreal: ClassVar[tuple[Missing, ...]] = tuple(
        Missing(technique, _COMPILED, _INSTEAD) for technique in ("static", "dynamic", "weights_only", "float16")
    )

    def convert(self, module: nn.Module, example: tuple[Tensor, ...], layout: str | None = None) -> bytes:
        """A float32 file with the static shapes of `example`; inputs and outputs in PyTorch's order, without names."""
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(module.eval(), example)
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)

    def operators(self, model: bytes) -> tuple[str, ...]:
        """The kind of every operator of any file, in the file's order."""
        return tuple(one.kind for one in _pte_graph.read(model).operations)

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Bytes of each activation, and from which operator to which it is needed; weights are not among them."""
        graph = _pte_graph.read(model)
        sizes = {name: _array(tensor).nbytes for name, tensor in graph.tensors.items()}
        operators = [(one.taken, one.made) for one in graph.operations]
        return _lifetimes.of_graph(operators, graph.inputs, graph.outputs, sizes)

    def work(self, model: bytes) -> tuple[Work, ...]:
        """What each operator does, as the file has it: XNNPACK may fuse some when it loads them."""
        graph = _pte_graph.read(model)
        arrays = {name: _array(tensor) for name, tensor in graph.tensors.items()}
        return tuple(
            _work.of_operator(
                one.kind,
                one.settings,
                [arrays[name] for name in one.taken],
                [arrays[name] for name in one.made],
                _RULES.get(one.kind),
            )
            for one in graph.operations
        )

    def run(self, model: bytes, samples: Sequence[Sample]) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
        """The outputs of any file for one sample after another, in the runtime as it is used."""
        loaded = load_pte.Model(model, {})
        return (tuple(loaded.answer(sample)) for sample in samples)

    def constants(self, model: bytes) -> list[Constant]:
        """Where the weights are in the file."""
        return [Constant.of(start, size, size // 4) for start, size in _pte_graph.segments(model)]


def _array(tensor: _pte_graph.Tensor) -> np.ndarray[Any, Any]:
    """Stands for a tensor of which only type and shape are looked at, and takes no memory."""
    import numpy as np

    return np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape)
