"""Codes a model file for its download: Deep Compression's third stage (Han, Mao & Dally 2016) on the runtime's file.

Of every tensor the smallest layout is taken, of every stream of a layout the smallest coder.
"""

from __future__ import annotations

import hashlib
import lzma
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.formats.coding import rans
from edgebuild.formats.coding.tensors import Layout, layouts
from edgebuild.spec.constant import Constant
from edgebuild.travels.decoder import CODEBOOK, DEFLATE, LZMA, MAGIC, MAX_LANES, MAX_SLOTS, RANS, SPARSE, STORED

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST_BYTES = 64  # a smaller tensor costs about as much to describe as it can save
_BITS = (14, 12, 10)  # precisions of frequencies that are tried: fine ones suit much data, coarse ones take less room
_TYPICAL_BITS = 12
_STATES = 0.004  # share of the entropy coder's bytes that its states may take: more lanes decode faster
_SMALL = 1 << 15  # bytes of a stream up to which all of LZMA2's ways are tried; beyond, they gain little and take long
_PROMISING = 1.2
_SETTINGS = (
    {"preset": 6, "lc": 0, "pb": 0},
    {"preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0},
    {"preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "pb": 2},
    {"preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0},
)


@dataclass(frozen=True, slots=True)
class Coded:
    """A stream and its smallest coder: `data` is what a general one made, empty for the entropy coder."""

    content: Array
    coder: int
    data: bytes
    cost: float


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the file in its smallest layout."""

    constant: Constant
    layout: Layout
    streams: tuple[Coded, ...]

    @property
    def cost(self) -> float:
        """Bytes it takes, about."""
        return self.layout.values.nbytes + sum(stream.cost for stream in self.streams)


def encode(file: bytes, constants: Iterable[Constant]) -> bytes:
    """The download of `file`, whose tensors are at `constants`; `decoder.decode` gives the same bytes back."""
    import numpy as np

    chosen = list(_apart(constants))
    parts = [_smallest(file, constant) for constant in chosen]
    edges = [0, *(edge for constant in chosen for edge in (constant.start, constant.end)), len(file)]
    rest = b"".join(file[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    last = _coded(np.frombuffer(rest, np.uint8))
    return min((_whole(file, parts, last, bits) for bits in _BITS if _fits(parts, bits)), key=len)


def _apart(constants: Iterable[Constant]) -> Iterator[Constant]:
    """The constants that are worth it, in the order of the file; one that begins inside another is left out."""
    end = 0
    for constant in sorted(constants, key=lambda one: one.start):
        if constant.start >= end and constant.end - constant.start >= LEAST_BYTES:
            yield constant
            end = constant.end


def _smallest(file: bytes, constant: Constant) -> Part:
    import numpy as np

    elements = np.frombuffer(file, f"<u{constant.width}", constant.count, constant.start)
    ways = (Part(constant, way, tuple(map(_coded, way.streams))) for way in layouts(elements))
    return min(ways, key=lambda part: part.cost)


def _coded(content: Array) -> Coded:
    """A stream with its smallest coder."""
    if len(content) == 0:
        return Coded(content, STORED, b"", 0)
    frequencies = rans.table(content, _TYPICAL_BITS)
    entropic = rans.cost(content, frequencies, _TYPICAL_BITS) + len(_table(frequencies))
    coder, data = general(content.tobytes(), entropic)
    return Coded(content, RANS, b"", entropic) if entropic < len(data) else Coded(content, coder, data, len(data))


def general(content: bytes, known: float = math.inf) -> tuple[int, bytes]:
    """The smallest of what the general coders make of `content`, and which that is.

    LZMA is slow: where Deflate finds nothing repeated, and so is far above what is `known` to do, it is not tried.
    """
    small, size = len(content) <= _SMALL, max(4096, len(content))  # of the dictionary: the decoder's is as large
    packer = zlib.compressobj(9 if small else 6, zlib.DEFLATED, -15)
    ways = [(STORED, content), (DEFLATE, packer.compress(content) + packer.flush())]
    if small or len(ways[-1][1]) < _PROMISING * known:
        for settings in _SETTINGS if small else _SETTINGS[:1]:
            chain = {"id": lzma.FILTER_LZMA2, "dict_size": size, "lp": 0} | settings
            ways.append((LZMA, lzma.compress(content, lzma.FORMAT_RAW, filters=[chain])))
    return min(ways, key=lambda way: len(way[1]))


def _fits(parts: Sequence[Part], bits: int) -> bool:
    """Whether the decoder takes the tables of all streams with this precision."""
    return sum(len(part.streams) for part in parts) + 1 <= MAX_SLOTS >> bits


def _whole(file: bytes, parts: Sequence[Part], rest: Coded, bits: int) -> bytes:
    """The download with frequencies of this precision."""
    streams = [stream for part in parts for stream in part.streams] + [rest]
    contents = [stream.content for stream in streams if stream.coder == RANS]
    tables = [rans.table(content, bits) for content in contents]
    expected = sum(rans.cost(content, table, bits) for content, table in zip(contents, tables, strict=True))
    lanes = min(MAX_LANES, 1 << max(0, int(expected * _STATES / 4).bit_length() - 1))
    head = b"".join(map(_number, (bits, lanes, len(parts))))
    ends = [0, *(part.constant.end for part in parts)]
    head += b"".join(_tensor(part, part.constant.start - end, bits) for part, end in zip(parts, ends, strict=False))
    head += _stream(rest, bits)
    coder, coded = general(head)
    body = b"".join(map(_number, (len(file), len(head), coder, len(coded)))) + coded
    body += b"".join(stream.data for stream in streams)
    body += rans.encode(contents, tables, bits, lanes) if contents else b""
    return MAGIC + hashlib.sha256(file).digest() + zlib.crc32(body).to_bytes(4, "little") + body


def _tensor(part: Part, skip: int, bits: int) -> bytes:
    """What the head says of a tensor."""
    layout = part.layout
    numbers = [skip, part.constant.count, part.constant.width.bit_length() - 1, layout.flags]
    numbers += [layout.kept] if layout.flags & SPARSE else []
    numbers += [len(layout.values) - 1] if layout.flags & CODEBOOK else []
    head = b"".join(map(_number, numbers)) + layout.values.tobytes()
    return head + b"".join(_stream(stream, bits) for stream in part.streams)


def _stream(stream: Coded, bits: int) -> bytes:
    if stream.coder == RANS:
        return _number(RANS) + _table(rans.table(stream.content, bits))
    return _number(stream.coder) + _number(len(stream.data))


def _table(frequencies: Array) -> bytes:
    return _number(len(frequencies) - 1) + b"".join(map(_number, frequencies.tolist()))


def _number(value: int) -> bytes:
    """Unsigned LEB128."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
