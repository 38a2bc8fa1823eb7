"""Double precision within a model whose inputs and outputs have single: files and their kernels lack much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_MAKING = ("arange.default", "arange.start", "arange.start_step", "linspace.default", "eye.default", "eye.m")
_FILLED = ("zeros.default", "ones.default", "full.default", "zeros_like.default", "ones_like.default")
_ASSERTED = "_assert_tensor_metadata.default"
_REDUCING = ("sum.default", "sum.dim_IntList", "mean.default", "mean.dim", "cumsum.default", "cumprod.default")


class Doubles(Rewrite):
    """What is computed in double precision between inputs and outputs in single is computed in single."""

    operators: ClassVar[tuple[str, ...]] = (
        *("to.dtype", "to.device", "to.dtype_layout", "scalar_tensor.default", "softmax.int", "log_softmax.int"),
        *(*_MAKING, *_FILLED, *_REDUCING, "full_like.default", "hann_window.default", "hamming_window.default"),
        _ASSERTED,
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where it is asked for, and no output has it."""
        import torch

        if torch.float64 not in (*node.args, *node.kwargs.values()) or _at_an_end(node):
            return None
        if str(node.target) == f"aten.{_ASSERTED}":  # the exporter's own
            return lambda *_, **__: None
        operator: Any = node.target
        return lambda *arguments, **named: operator(
            *map(_single, arguments), **{key: _single(value) for key, value in named.items()}
        )

    @staticmethod
    def stored(node: fx.Node) -> Callable[[Tensor], Tensor] | None:
        """Parameters, buffers and constants."""
        return _narrowed if _double(node) and not _at_an_end(node) else None


def _single(value: Any) -> Any:
    import torch

    return torch.float32 if value is torch.float64 else value


def _narrowed(values: Tensor) -> Tensor:
    return values.float()


def _double(node: fx.Node) -> bool:
    import torch

    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.dtype == torch.float64


def _at_an_end(node: fx.Node) -> bool:
    """Whether an output of the graph has it: these are as they are declared."""
    (answer,) = node.graph.find_nodes(op="output")
    return any(map(_double, answer.all_input_nodes))
