"""Values in order, and the greatest of them, for which a converter finds an operator that the runtime does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Ordering(Rewrite):
    """Sorting and the greatest or least of an axis are the greatest of its last one, TFLite's own operator."""

    operators: ClassVar[tuple[str, ...]] = (
        *("topk.default", "sort.default", "sort.stable", "argsort.default", "argsort.stable"),
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where the converter's library has the operator as one of PyTorch's."""
        try:
            from litert_torch.backend.experimental import torch_tfl  # noqa: F401 (its import registers it)
        except ImportError:
            return None
        shape, name = argument(node, 0, "self", None).meta["val"].shape, str(node.target).removeprefix("aten.")
        if not shape:
            return None
        if name == "topk.default":
            count, axis, greatest = (
                argument(node, *where) for where in ((1, "k", 1), (2, "dim", -1), (3, "largest", True))
            )
            return lambda x, *_, **__: _greatest(x, count, axis, greatest)
        first = 2 if name == "sort.stable" else 1  # behind whether it is to be stable, which this one is
        axis, falling = argument(node, first, "dim", -1), argument(node, first + 1, "descending", False)
        both = name.startswith("sort")

        def ordered(x: Tensor, *_: Any, **__: Any) -> Any:
            pair = _greatest(x, x.shape[axis], axis, falling)
            return pair if both else pair[1]

        return ordered


def _greatest(x: Tensor, count: int, axis: int, greatest: bool) -> tuple[Tensor, Tensor]:
    """So many of an axis in order, from the greatest or the least, and where they stood; of equals the first."""
    import torch

    last = x.movedim(axis, -1)
    values, places = torch.ops.tfl.topk_v2(last if greatest else -last, count)
    values = values if greatest else -values
    return values.movedim(-1, axis), places.to(torch.int64).movedim(-1, axis)
