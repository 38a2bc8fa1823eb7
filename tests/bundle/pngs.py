"""PNGs made and read by hand, so that neither our writer nor our reader is judged by itself."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = {1: 0, 3: 2, 2: 4, 4: 6}  # samples a pixel → colour type


def filtered(pixels: Pixels, kinds: list[int]) -> bytes:
    """Rows below the filter that ISO/IEC 15948 calls by this number, one number a row, by its own formulas."""
    height, width, step = pixels.shape
    rows = pixels.reshape(height, width * step).astype(int)
    made = b""
    for y, kind in enumerate(kinds):
        above = rows[y - 1] if y else np.zeros(width * step, int)
        made += bytes([kind])
        for x, value in enumerate(rows[y]):
            a = rows[y][x - step] if x >= step else 0
            b = above[x]
            c = above[x - step] if x >= step else 0
            guess = [0, a, b, (a + b) // 2, paeth(a, b, c)][kind]
            made += bytes([(value - guess) % 256])
    return made


def paeth(a: int, b: int, c: int) -> int:
    """The standard's own pseudo-code."""
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    if pa <= pb and pa <= pc:
        return a
    return b if pb <= pc else c


def png(pixels: Pixels, kinds: list[int] | None = None, parts: int = 1, extra: bytes = b"", **header: int) -> bytes:
    """A whole file: the picture in as many chunks as asked for, `extra` chunks before it."""
    height, width, step = pixels.shape
    values: dict[str, int] = {"depth": 8, "colour": COLOURS[step], "interlace": 0} | header
    head = struct.pack(">IIBBBBB", width, height, values["depth"], values["colour"], 0, 0, values["interlace"])
    whole = zlib.compress(filtered(pixels, kinds or [0] * height))
    size = -(-len(whole) // parts)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    picture = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return SIGNATURE + chunk(b"IHDR", head) + extra + picture + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def decode(data: bytes) -> Any:
    """The pixels of an unfiltered PNG, every length and checksum looked at."""
    assert data[:8] == SIGNATURE
    position, found = 8, {}
    while position < len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(name + content)
        assert name not in found
        found[name] = content
        position += 12 + length
    assert position == len(data)
    assert list(found) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, packing, filters, interlace = struct.unpack(">IIBBBBB", found[b"IHDR"])
    assert (depth, packing, filters, interlace) == (8, 0, 0, 0)
    step = {0: 1, 2: 3}[colour]
    raw = zlib.decompress(found[b"IDAT"])
    rows = [raw[at : at + 1 + width * step] for at in range(0, len(raw), 1 + width * step)]
    assert len(rows) == height
    assert all(row[0] == 0 for row in rows)
    return np.frombuffer(b"".join(row[1:] for row in rows), np.uint8).reshape(height, width, step)
