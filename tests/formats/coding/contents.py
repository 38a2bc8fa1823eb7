"""Model files of no format for the tests of the coder: arrays with bytes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebuild.spec.constant import Constant

Array = np.ndarray[Any, Any]


def file_of(arrays: Sequence[Array], between: bytes = b"between ") -> tuple[bytes, list[Constant]]:
    """The arrays one after another, a few bytes before each and behind the last, and where they are."""
    content, constants = b"", []
    for array in arrays:
        content += between
        constants.append(Constant.of(len(content), array.nbytes, array.size))
        content += array.tobytes()
    return content + between, constants


def pruned(share: float, values: int, shape: tuple[int, ...], seed: int = 0) -> Array:
    """float32 weights of which `share` are kept, as one of `values` shared values each."""
    rng = np.random.default_rng(seed)
    book = rng.normal(size=values).astype(np.float32)
    return np.where(rng.random(shape) < share, book[rng.integers(0, values, shape)], np.float32(0))
