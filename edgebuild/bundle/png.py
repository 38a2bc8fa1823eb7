"""Writes an 8-bit PNG, so that a bundle can carry a sample picture without an imaging library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


def encode(pixels: Array) -> bytes:
    """A PNG of `pixels`, uint8 [height, width, 1 or 3]; ISO/IEC 15948, no filter, one data chunk."""
    height, width, channels = pixels.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
