"""Products of single rows in four axes with a matrix, of which the converter makes what it refuses itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_AXES = 4


class SingleRows(Rewrite):
    """A product of rows that stand alone in the last but one of four axes is one of a matrix of all these rows."""

    operators: ClassVar[tuple[str, ...]] = ("linear.default", "matmul.default", "einsum.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where the second factor is a matrix; of an einsum where some letter stands for one element alone."""
        if str(node.target) == "aten.einsum.default":
            return _without_single(argument(node, 0, "equation", ""), argument(node, 1, "tensors", ()))
        rows, matrix = (factor.meta["val"] for factor in (node.args[0], node.args[1]))  # type: ignore[union-attr]
        if rows.dim() != _AXES or rows.shape[-2] != 1 or matrix.dim() != 2:
            return None
        product: Any = node.target
        return lambda x, *others: product(x.reshape(-1, x.shape[-1]), *others).reshape(*x.shape[:-1], -1)


def _without_single(equation: str, factors: Sequence[fx.Node]) -> Callable[..., Any] | None:
    """The same einsum without the letters whose axes have one element, which its answer gets back."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    sides, shapes = inputs.split(","), [factor.meta["val"].shape for factor in factors]
    if not arrow or "." in equation or sorted(map(len, sides)) != [2, _AXES]:
        return None
    sizes: dict[str, int] = {}
    for letters, shape in zip(sides, shapes, strict=True):
        sizes |= {letter: max(size, sizes.get(letter, 1)) for letter, size in zip(letters, shape, strict=True)}
    single = {letter for letter, size in sizes.items() if size == 1}
    if not single:
        return None
    kept = [[letter for letter in side if letter not in single] for side in (*sides, output)]
    left, right, answer = ("".join(letters) for letters in kept)

    def product(_: str, tensors: Sequence[Tensor], *__: Any, **___: Any) -> Tensor:
        import torch

        squeezed = [
            tensor.reshape([size for letter, size in zip(side, tensor.shape, strict=True) if letter not in single])
            for side, tensor in zip(sides, tensors, strict=True)
        ]
        return torch.einsum(f"{left},{right}->{answer}", *squeezed).reshape([sizes[letter] for letter in output])

    return product
