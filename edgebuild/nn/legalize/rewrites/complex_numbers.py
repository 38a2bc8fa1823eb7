"""Complex numbers: no values of a file have such a type, and exporters know few of their operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize import complex_shapes, complex_spectra, pairs
from edgebuild.nn.legalize.geometry import argument
from edgebuild.nn.legalize.pairs import Pair
from edgebuild.nn.legalize.rewrites import spectra
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

    Made = Callable[..., Any]

_PRODUCTS = tuple(
    f"{name}.default" for name in ("matmul", "mm", "bmm", "einsum", "linear", "conv1d", "conv2d", "outer")
)
_INPLACE = {name.replace(".", "_."): name for name in pairs.BINARY}
_POWER = "pow.Tensor_Scalar"


class ComplexNumbers(Rewrite):
    """Complex numbers are pairs of real ones in a last axis, and Fourier transforms products with cosines and sines."""

    operators: ClassVar[tuple[str, ...]] = (
        *(*pairs.BINARY, *pairs.UNARY, *_INPLACE, *complex_shapes.CHANGES, *complex_spectra.MAKERS, *_PRODUCTS),
        *(*spectra.PARTS, "view_as_complex.default", "complex.default", "polar.default", "stft.default"),
        *("zeros.default", "to.dtype", _POWER),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused", "tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where all that complex numbers come from and go to from here can be said so, and is not said by `spectra`."""
        if not _complex(node):
            return None
        every = _connected(node)
        if all(spectra.taken(one) for one in every if one.op == "call_function"):
            return None
        made = [one.op == "placeholder" or _made(one) is not None for one in every]
        return _made(node) if all(made) and node.op == "call_function" else None

    @staticmethod
    def stored(node: fx.Node) -> Callable[[Tensor], Tensor] | None:
        """Complex parameters and buffers, where what reads them is rewritten."""
        import torch

        value = node.meta.get("val")
        complex_value = isinstance(value, torch.Tensor) and value.is_complex()
        rewritten = complex_value and node.users and all(map(ComplexNumbers.instead, node.users))
        return torch.view_as_real if rewritten else None


def _is_complex(value: Any) -> bool:
    import torch

    values = value if isinstance(value, tuple | list) else [value]
    return any(each.is_complex() if isinstance(each, torch.Tensor) else isinstance(each, complex) for each in values)


def _complex(node: fx.Node) -> bool:
    """Whether it takes or gives complex numbers."""
    return any(_is_complex(each.meta.get("val")) for each in (node, *node.all_input_nodes))


def _connected(node: fx.Node) -> list[fx.Node]:
    """All nodes that complex numbers go to and come from, from one to the next."""
    seen, waiting = {node: None}, [node]
    while waiting:
        one = waiting.pop()
        sources = [each for each in one.all_input_nodes if _is_complex(each.meta.get("val"))]
        readers = [*one.users] if _is_complex(one.meta.get("val")) else []
        fresh = [each for each in (*sources, *readers) if each not in seen]
        seen |= dict.fromkeys(fresh)
        waiting += fresh
    return [*seen]


def _made(node: fx.Node) -> Made | None:
    """What stands in the place of an operator on tensors with both parts in a last axis."""
    name = str(node.target).removeprefix("aten.")
    if name == "<built-in function getitem>":
        return node.target  # type: ignore[return-value]  # of what gives several
    for able in (_moved, _arithmetic, _product, _end):
        if (function := able(node, name)) is not None:
            return function
    return None


def _moved(node: fx.Node, name: str) -> Made | None:
    first = node.args[0] if node.args else None
    first = first[0] if isinstance(first, list | tuple) and first else first
    value = getattr(first, "meta", {}).get("val")
    every = [one for one in node.all_input_nodes if one.meta["val"].is_floating_point()]
    return None if value is None or every else complex_shapes.moved(node, value.ndim)


def _arithmetic(node: fx.Node, name: str) -> Made | None:
    import torch

    binary, inplace = pairs.BINARY.get(_INPLACE.get(name, name)), name in _INPLACE
    if name == _POWER and argument(node, 1, "exponent", None) == 2:
        return _on_pairs(node, lambda one, _: pairs.bilinear(torch.mul, one, one))
    if binary is not None and not node.kwargs and not (inplace and not _is_complex(node.meta["val"])):
        function = _on_pairs(node, binary)
        return (lambda x, *others: x.copy_(function(x, *others))) if inplace else function
    return _on_pairs(node, pairs.UNARY[name]) if name in pairs.UNARY else None


def _product(node: fx.Node, name: str) -> Made | None:
    """Of two operands, perhaps with a bias behind them."""
    if name not in _PRODUCTS:
        return None
    operator: Any = node.target
    if name == "einsum.default":
        equation, operands = node.args[0], node.args[1]
        if not isinstance(operands, list | tuple) or len(operands) != 2:
            return None
        function = _paired(operands, lambda a, b: pairs.bilinear(lambda x, y: operator(equation, [x, y]), a, b))
        return lambda _, both: function(*both)
    bias = argument(node, 2, "bias", None) if name.partition(".")[0] in ("linear", "conv1d", "conv2d") else None
    others = node.args[3:]

    def on_pairs(one: Pair, other: Pair, *rest: Pair) -> Pair:
        values = pairs.bilinear(lambda x, y: operator(x, y, *([None, *others] if others else [])), one, other)
        if bias is None:
            return values
        places = (-1, *[1] * (int(name[4]) if name.startswith("conv") else 0))
        return pairs.BINARY["add.Tensor"](
            values, Pair(*(None if part is None else part.reshape(places) for part in rest[0]))
        )

    return None if node.kwargs else _on_pairs(node, on_pairs)


def _end(node: fx.Node, name: str) -> Made | None:
    """Where complex numbers begin and end."""
    able = complex_spectra.MAKERS.get(name, _ENDS.get(name))
    return able(node) if able is not None else None


def _cast(node: fx.Node) -> Made:
    real = not _is_complex(node.all_input_nodes[0].meta["val"])
    return lambda x, *_: pairs.together(Pair(x)) if real else x


def _zeros(shape: list[int], **_: Any) -> Tensor:
    import torch

    return torch.zeros([*shape, 2])


def _on_pairs(node: fx.Node, function: Callable[..., Pair | Tensor]) -> Made:
    return _paired(node.args, function)


def _paired(arguments: Any, function: Callable[..., Pair | Tensor]) -> Made:
    """A function of pairs as one of tensors, of which those are pairs that stand for complex numbers."""
    kinds = [_is_complex(getattr(one, "meta", {}).get("val")) for one in arguments]

    def on_tensors(*values: Any) -> Tensor:
        result = function(*(_pair(value, paired) for value, paired in zip(values, kinds, strict=True)))
        return pairs.together(result) if isinstance(result, Pair) else result

    return on_tensors


def _pair(value: Any, paired: bool) -> Pair:
    if isinstance(value, complex):
        return Pair(value.real, value.imag)
    return pairs.apart(value) if paired else Pair(value)


_ENDS: Mapping[str, Callable[[fx.Node], Made | None]] = {
    **{name: lambda node: spectra.PARTS[str(node.target).removeprefix("aten.")] for name in spectra.PARTS},
    "view_as_complex.default": lambda _: lambda x: x,
    "complex.default": lambda _: lambda real, imag: pairs.together(Pair(real, imag)),
    "polar.default": lambda _: lambda size, angle: pairs.together(pairs.polar(size, angle)),
    "stft.default": spectra.frames,
    "zeros.default": lambda _: _zeros,
    "to.dtype": _cast,
}
