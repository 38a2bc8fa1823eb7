"""Writes an 8-bit PNG, so that a bundle can carry a sample picture without an imaging library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

_BLOCK = 65535  # bytes that one stored block holds


def encode(pixels: Array) -> bytes:
    """A PNG of `pixels`, uint8 [height, width, 1 or 3]; ISO/IEC 15948, no filter, one data chunk.

    Stored, not compressed: what a compressor makes depends on its version, and a bundle's bytes must not.
    """
    height, width, channels = pixels.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", _stored(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _stored(data: bytes) -> bytes:
    """A zlib stream (RFC 1950) of blocks without compression (RFC 1951, section 3.2.4)."""
    starts = range(0, len(data), _BLOCK)
    blocks = [(data[start : start + _BLOCK], start == starts[-1]) for start in starts]
    body = b"".join(struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part for part, last in blocks)
    return b"\x78\x01" + body + struct.pack(">I", zlib.adler32(data))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
