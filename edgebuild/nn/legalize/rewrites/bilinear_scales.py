"""Pictures made larger or smaller by a factor that is not that of their sizes, such as 10 rows by 1.7 to 17."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.nn.legalize.rewrites.resize_products import ResizeProducts
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import fx


class BilinearScales(Rewrite):
    """Bilinear resizing by another factor than its sizes have becomes a product with a constant matrix each way."""

    operators: ClassVar[tuple[str, ...]] = ("upsample_bilinear2d.vec",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where places are reckoned by the factor: the converter reckons them by the sizes."""
        before, after = argument(node, 0, "input", None).meta["val"].shape[2:], node.meta["val"].shape[2:]
        scales = argument(node, 3, "scale_factors", None)
        if scales is None or argument(node, 2, "align_corners", False):
            return None
        own = all(n * scale == m for n, scale, m in zip(before, scales, after, strict=True))
        return None if own else ResizeProducts.instead(node)
