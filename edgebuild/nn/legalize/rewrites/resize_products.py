"""Pictures, rows and volumes made larger or smaller by means of neighbours for which there is no operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_LARGEST = 2**22  # elements of a matrix


class ResizeProducts(Rewrite):
    """Bicubic, antialiased, 1-D and 3-D resizing becomes a product with a constant matrix along each axis."""

    operators: ClassVar[tuple[str, ...]] = (
        *("upsample_bicubic2d.vec", "_upsample_bicubic2d_aa.vec", "_upsample_bilinear2d_aa.vec"),
        *("upsample_linear1d.vec", "upsample_trilinear3d.vec"),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where the matrices are not too large; a hundred operators that gather otherwise, or none at all."""
        before, after = argument(node, 0, "input", None).meta["val"].shape[2:], node.meta["val"].shape[2:]
        if any(few * many > _LARGEST for few, many in zip(before, after, strict=True)):
            return None
        scales = argument(node, 3, "scale_factors", None)
        align = argument(node, 2, "align_corners", False)
        matrices = [_matrix(node.target, before, after, axis, align, scales) for axis in range(len(before))]
        return lambda x, *_, **__: _resized(x, matrices)


def _matrix(
    resize: Any, before: Sequence[int], after: Sequence[int], axis: int, align: bool, scales: Sequence[float] | None
) -> list[list[float]] | None:
    """What each place of an axis adds to each one behind it [before, after]: the operator tells, asked about ones."""
    import torch

    if before[axis] == after[axis] and scales is None:
        return None
    shape = [before[axis], 1, *[1] * len(before)]
    shape[2 + axis] = before[axis]
    sizes = [after[axis] if k == axis else 1 for k in range(len(before))]
    factors = None if scales is None else [scales[axis] if k == axis else 1.0 for k in range(len(before))]
    ones = torch.eye(before[axis], dtype=torch.float64).reshape(shape)
    rows: list[list[float]] = resize(ones, None if factors else sizes, align, factors).flatten(1).tolist()
    return rows


def _resized(x: Tensor, matrices: Sequence[list[list[float]] | None]) -> Tensor:
    import torch

    for axis, matrix in enumerate(matrices, 2):
        if matrix is not None:
            x = (x.movedim(axis, -1) @ torch.tensor(matrix, dtype=x.dtype)).movedim(-1, axis)
    return x
