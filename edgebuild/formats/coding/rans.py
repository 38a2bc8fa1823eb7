"""The encoding half of the entropy coder: interleaved range asymmetric numeral systems; `decoder.rans` undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.travels.decoder import LEAST

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def table(content: Array, bits: int) -> Array:
    """How often each byte value up to the largest occurs in `content`, one byte or more, scaled to a sum of 2^bits.

    What occurs keeps a share of at least one; what rounding leaves is settled with the most frequent values, where
    it costs least.
    """
    import numpy as np

    counts = np.bincount(content)
    scaled: Array = np.rint(counts * ((1 << bits) / counts.sum())).astype(np.int64)
    scaled = np.maximum(scaled, (counts > 0).astype(np.int64))
    while (apart := (1 << bits) - int(scaled.sum())) != 0:
        movable = np.flatnonzero(scaled > (apart < 0))
        largest = movable[np.argsort(-scaled[movable], kind="stable")][: abs(apart)]
        scaled[largest] += 1 if apart > 0 else -1
    return scaled


def cost(content: Array, frequencies: Array, bits: int) -> float:
    """Bytes that `content` takes with these frequencies: its cross-entropy (Shannon 1948)."""
    import numpy as np

    counts = np.bincount(content, minlength=len(frequencies))
    used = counts > 0
    return float((counts[used] * (bits - np.log2(frequencies[used]))).sum() / 8)


def encode(contents: Sequence[Array], tables: Sequence[Array], bits: int, lanes: int) -> bytes:
    """All streams as one sequence, each byte coded with the table of its stream; the decoder's first states lead.

    Coding runs from the last byte to the first, so that decoding runs from the first to the last.
    """
    import numpy as np

    symbols = np.concatenate(contents)
    full = np.zeros((len(tables), 256), np.uint64)
    for row, frequencies in zip(full, tables, strict=True):
        row[: len(frequencies)] = frequencies
    first = (np.cumsum(full, axis=1, dtype=np.uint64) - full).ravel()
    entry = np.repeat(np.arange(len(contents)) * 256, [len(content) for content in contents]) + symbols
    states = np.full(lanes, LEAST, np.uint64)
    width, words = np.uint64(bits), []
    for at in reversed(range(0, len(symbols), lanes)):
        chosen = entry[at : at + lanes]
        f, x = full.ravel()[chosen], states[: len(chosen)]
        over = x >= f << np.uint64(32 - bits)
        words.append((x[over] & np.uint64(0xFFFF)).astype("<u2"))
        x = np.where(over, x >> np.uint64(16), x)
        states[: len(chosen)] = (x // f << width) + x % f + first[chosen]
    return states.astype("<u4").tobytes() + b"".join(part.tobytes() for part in reversed(words))
