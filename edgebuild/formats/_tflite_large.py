"""Weights with more than two axes and more than 32 MiB, which ai-edge-quantizer refuses, are given to it in pieces.

It means to save memory and lays such weights out in rows, but not their scales (0.10: "input operand has more
dimensions than allowed by the axis remapping"): a convolution of 1,024 to 1,024 channels is enough. A piece is a range
of the first axis, the output channels of a convolution, with the scales of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Quantize = Callable[[Array, Any, bool], Array]

_MOST = 32 << 20  # bytes


@contextmanager
def in_pieces() -> Iterator[None]:
    """Within it the quantizer takes weights of any size."""
    from ai_edge_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor as quantizer

    whole = quantizer.uniform_quantize
    quantizer.uniform_quantize = _by_pieces(whole, quantizer.fix_quantization_params_rank)
    try:
        yield
    finally:
        quantizer.uniform_quantize = whole


def _by_pieces(whole: Quantize, ranked: Callable[[Array, Any], Any]) -> Quantize:
    def quantize(data: Array, how: Any, is_blockwise_quant: bool = False) -> Array:
        import numpy as np

        if is_blockwise_quant or data.ndim <= 2 or data.nbytes <= _MOST:
            return whole(data, how, is_blockwise_quant)
        how, rows = ranked(data, how), max(1, _MOST * len(data) // data.nbytes)
        places = [slice(first, first + rows) for first in range(0, len(data), rows)]
        return np.concatenate([whole(data[place], _of(how, place), False) for place in places])

    return quantize


def _of(how: Any, place: slice) -> Any:
    """Scales and zero points of the places, where they differ along the first axis."""
    values = {"scale": how.scale, "zero_point": how.zero_point}
    return replace(how, **{name: each[place] for name, each in values.items() if len(each) > 1})
