"""One value written to the places that a mask names: `y[y > 0] = 0`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, in_place
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class MaskedWrites(Rewrite):
    """Each place has the new value or the one that it had, by a mask that is as long as the axes that it stands for."""

    operators: ClassVar[tuple[str, ...]] = ("index_put.default", "index_put_.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where one mask alone says where, and what is written is as long at every place, whatever the mask holds."""
        indices, accumulated = argument(node, 1, "indices", ()), argument(node, 3, "accumulate", False)
        named = [index.meta["val"] for index in indices if index is not None]
        if accumulated or len(named) != 1 or str(named[0].dtype) != "torch.bool":
            return None
        onto, values = (argument(node, place, name, None).meta["val"] for place, name in ((0, "self"), (2, "values")))
        every = values.dim() <= _behind(onto, indices, named[0]) or values.numel() == 1
        name = str(node.target).removeprefix("aten.")
        return in_place(name, _written) if every else None


def _behind(onto: Tensor, indices: Sequence[Any], mask: Tensor) -> int:
    """How many axes lie behind those that the mask stands for."""
    return onto.dim() - mask.dim() - _first(indices)


def _first(indices: Sequence[Any]) -> int:
    """The axis that the mask begins at."""
    return next(place for place, index in enumerate(indices) if index is not None)


def _written(onto: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """As torch; [A, M, B] with a mask [M] and a value for all, or one for each place of [B]."""
    import torch

    mask = indices[_first(indices)]
    assert mask is not None
    where = mask.reshape(*mask.shape, *[1] * _behind(onto, indices, mask))
    return torch.where(where, values.reshape(()) if values.numel() == 1 else values, onto)
