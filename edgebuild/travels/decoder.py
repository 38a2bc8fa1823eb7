#!/usr/bin/env python3
"""Rebuilds a model file from its coded download: `python decoder.py model.tflite.edz model.tflite`.

This one file travels with the download. It needs Python 3.9 and numpy, and must never import anything of edgebuild.
What it reads may be damaged or hostile: every length is checked before it is believed, nothing in it is executed,
and a file whose SHA-256 is not the one in the header is never given out.

number     unsigned LEB128
download   "EDZ1", SHA-256 of the file (32 bytes), CRC-32 of all that follows (4 bytes, the last first)
           numbers: bytes of the file, bytes of the head, its coder, its coded bytes; the head as coded
           the coded bytes of every stream that a general coder holds, the entropy coder's bytes
stream     number: coder; if it is RANS a table, else number: coded bytes
table      number: symbols less one, numbers: how often the byte values 0, 1, … occur; they add up to 2^bits
head       numbers: bits, lanes, tensors; every tensor; stream: the rest of the file
tensor     numbers: bytes since the tensor before, elements, log₂ of an element's bytes, flags
           if SPARSE, number: kept elements; if CODEBOOK, number: values less one, the values; if SPARSE alone, a value
           streams: if SPARSE the gaps; if CODEBOOK the indices, else one for each byte of an element
"""

from __future__ import annotations

import hashlib
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

MAGIC = b"EDZ1"
HEADER = len(MAGIC) + 32 + 4
LIMIT = 1 << 31  # bytes of a decoded file, where the caller knows no better
STORED, DEFLATE, LZMA, RANS = range(4)  # coders of a stream
SPARSE, CODEBOOK = 1, 2  # flags of a tensor
LEAST = 1 << 16  # states of the entropy coder stay in [2¹⁶, 2³²)
MAX_BITS, MAX_LANES, MAX_TENSORS = 15, 1 << 16, 1 << 16
NO_TABLE = np.empty(0, np.uint32)
MAX_SLOTS = 1 << 26  # of all tables together: what they take in memory

Array = Any  # numpy.ndarray: Python 3.9's numpy has no type parameters


class Damaged(ValueError):
    """The download is not what was made: cut off, changed, or never one."""


class Stream(NamedTuple):
    """`length` bytes and who coded them: a general coder into `coded` bytes, or the entropy coder with a table."""

    length: int
    coder: int
    coded: int
    table: Array


class Tensor(NamedTuple):
    """`length` elements of `size` bytes after `skip` bytes of the rest; what stands where none is kept; its streams.

    The first stream of a sparse tensor are the gaps; the others are indices into `book`, or the bytes of elements.
    """

    skip: int
    length: int
    size: int
    fill: bytes | None
    book: Array | None
    streams: list[Stream]


class Reader:
    """Bytes from first to last; never beyond their end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > len(self.data) - self.position:
            raise Damaged("it ends too early")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, most: int, least: int = 0) -> int:
        """A number between `least` and `most`."""
        value = 0
        for shift in range(0, 42, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                break
        if not least <= value <= most:
            raise Damaged("a number is out of range")
        return value


def digest(data: bytes) -> str:
    """The SHA-256 that the decoded file will have, in hexadecimal; Damaged for what is no download."""
    if data[: len(MAGIC)] != MAGIC or len(data) < HEADER:
        raise Damaged("it is no coded model")
    return data[len(MAGIC) : len(MAGIC) + 32].hex()


def decode(data: bytes, limit: int = LIMIT) -> bytes:
    """The file, bit for bit. Raises Damaged, also for a file of more than `limit` bytes."""
    expected, body = digest(data), data[HEADER:]
    if zlib.crc32(body) != int.from_bytes(data[HEADER - 4 : HEADER], "little"):
        raise Damaged("it was cut off or changed: its checksum differs")
    try:
        file = _decode(Reader(body), limit)
    except Damaged:
        raise
    except (ValueError, IndexError, OverflowError, MemoryError, zlib.error, lzma.LZMAError) as error:
        raise Damaged(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
    if hashlib.sha256(file).hexdigest() != expected:
        raise Damaged("it does not give the file that was coded: the SHA-256 differs")
    return file


def _decode(outer: Reader, limit: int) -> bytes:
    size = outer.number(limit)
    first = Stream(outer.number(2 * size + (1 << 20)), outer.number(LZMA), outer.number(len(outer.data)), NO_TABLE)
    head = Reader(general(first, outer))
    bits, lanes = head.number(MAX_BITS, 1), head.number(MAX_LANES, 1)
    tensors = list(read_tensors(head, size, 1 << bits))
    rest = read_stream(head, size - sum(tensor.length * tensor.size for tensor in tensors), 1 << bits)
    streams = [stream for tensor in tensors for stream in tensor.streams] + [rest]
    contents = [b"" if stream.coder == RANS else general(stream, outer) for stream in streams]
    entropic = [stream for stream in streams if stream.coder == RANS]
    symbols = rans(outer.take(len(outer.data) - outer.position), entropic, bits, lanes)
    whole = iter([next(symbols) if s.coder == RANS else np.frombuffer(c, np.uint8) for s, c in zip(streams, contents)])
    filled = [elements(tensor, [next(whole) for _ in tensor.streams]) for tensor in tensors]
    return b"".join(weave(tensors, filled, next(whole).tobytes()))


def read_tensors(head: Reader, size: int, total: int) -> Iterator[Tensor]:
    """The tensors of a file of `size` bytes, whose tables add up to `total`."""
    left = size
    for _ in range(head.number(MAX_TENSORS)):
        skip = head.number(left)
        count, width = head.number(left - skip, 1), 1 << head.number(3)
        left -= skip + count * width
        if left < 0:
            raise Damaged("a tensor is larger than the file")
        flags = head.number(SPARSE | CODEBOOK)
        kept = head.number(count) if flags & SPARSE else count
        entries = head.number(255) + 1 if flags & CODEBOOK else flags & SPARSE
        values = np.frombuffer(head.take(entries * width), f"<u{width}")
        book = values if flags & CODEBOOK else None
        number = (1 if flags & SPARSE else 0) + (1 if flags & CODEBOOK else width)
        streams = [read_stream(head, kept, total) for _ in range(number)]
        yield Tensor(skip, count, width, values[:1].tobytes() if flags & SPARSE else None, book, streams)


def read_stream(head: Reader, count: int, total: int) -> Stream:
    """How the next `count` bytes are coded."""
    coder = head.number(RANS)
    if coder != RANS:
        return Stream(count, coder, head.number(2 * count + 1024), NO_TABLE)
    table = np.array([head.number(total) for _ in range(head.number(255) + 1)], np.uint32)
    if int(table.sum()) != total:
        raise Damaged("a table of frequencies does not add up")
    return Stream(count, coder, 0, table)


def general(stream: Stream, outer: Reader) -> bytes:
    """What a general coder holds; it is never allowed to make more than was announced."""
    coded = outer.take(stream.coded)
    if stream.coder == DEFLATE:
        coded = zlib.decompressobj(-15).decompress(coded, stream.length + 1)
    if stream.coder == LZMA:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": max(4096, stream.length)}]
        coded = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(coded, stream.length + 1)
    if len(coded) != stream.length:
        raise Damaged("a stream has another length than announced")
    return coded


def rans(coded: bytes, streams: list[Stream], bits: int, lanes: int) -> Iterator[Array]:
    """The bytes of each stream: interleaved range asymmetric numeral systems (Duda 2013), `lanes` states side by side.

    Byte i belongs to lane i mod lanes. A step maps all states x to x' = f·⌊x / 2^bits⌋ + (x mod 2^bits) − start,
    and states below 2¹⁶ then take 16 more bits each, the first lane first (Giesen 2014).
    """
    ends = np.cumsum([stream.length for stream in streams], dtype=np.int64)
    count = int(ends[-1]) if streams else 0
    if len(streams) << bits > MAX_SLOTS:
        raise Damaged("it has too many tables")
    if count == 0:
        if coded:
            raise Damaged("there is more than was announced")
        return iter([np.empty(0, np.uint8) for _ in streams])
    tables = np.zeros((len(streams), 256), np.uint32)
    for row, stream in zip(tables, streams):
        row[: len(stream.table)] = stream.table
    starts = np.cumsum(tables, axis=1, dtype=np.uint32) - tables
    lookup = np.concatenate([np.repeat(np.arange(256, dtype=np.uint8), row) for row in tables])
    shares, begins = tables.ravel(), starts.ravel()
    which = np.repeat(np.arange(len(streams), dtype=np.uint32), [stream.length for stream in streams])
    states = np.frombuffer(coded[: 4 * lanes], "<u4").astype(np.uint32)
    words = np.frombuffer(coded[4 * lanes :], "<u2").astype(np.uint32)
    symbols, taken, mask, shift = np.empty(count, np.uint8), 0, np.uint32((1 << bits) - 1), np.uint32(bits)
    if len(states) != lanes:
        raise Damaged("it ends too early")
    for at in range(0, count, lanes):
        model = which[at : at + lanes]
        x = states[: len(model)]
        slot = x & mask
        symbol = lookup[(model << shift) + slot]
        symbols[at : at + lanes] = symbol
        entry = (model << np.uint32(8)) + symbol
        x = shares[entry] * (x >> shift) + slot - begins[entry]
        low = np.flatnonzero(x < LEAST)
        x[low] = (x[low] << np.uint32(16)) + words[taken : taken + len(low)]
        states[: len(model)] = x
        taken += len(low)
    if taken != len(words) or np.any(states != LEAST):
        raise Damaged("the entropy coder does not end where it began")
    return iter(np.split(symbols, ends[:-1]))


def elements(tensor: Tensor, streams: list[Array]) -> bytes:
    """The bytes of a tensor."""
    kind = np.dtype(f"<u{tensor.size}")
    gaps = streams[0] if tensor.fill is not None else None
    planes = streams[0 if gaps is None else 1 :]
    whole = np.stack(planes, axis=1).reshape(-1)
    values = whole.view(kind) if tensor.book is None else tensor.book[whole]
    if gaps is not None:
        kept, values = values, np.full(tensor.length, np.frombuffer(tensor.fill or b"", kind)[0], kind)
        values[np.cumsum(gaps.astype(np.int64) + 1) - 1] = kept
    content: bytes = values.astype(kind).tobytes()
    return content


def weave(tensors: list[Tensor], filled: list[bytes], rest: bytes) -> Iterator[bytes]:
    """The pieces of the file in their order."""
    at = 0
    for tensor, content in zip(tensors, filled):
        yield rest[at : at + tensor.skip]
        yield content
        at += tensor.skip
    yield rest[at:]


def rebuild(download: str, file: str, limit: int = LIMIT) -> None:
    """Decode one file into another, in one step: a file that is there is whole. Raises Damaged or OSError."""
    with open(download, "rb") as source:
        content = decode(source.read(), limit)
    part = f"{file}.{os.getpid()}.part"
    try:
        with open(part, "wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        os.replace(part, file)
    finally:
        if os.path.exists(part):
            os.remove(part)


def main(arguments: list[str]) -> int:
    """Exit code 0, 1 with one line for what cannot be decoded, or 2 for wrong usage."""
    if len(arguments) != 2:
        print("usage: python decoder.py DOWNLOAD FILE", file=sys.stderr)
        return 2
    try:
        rebuild(arguments[0], arguments[1])
    except (Damaged, OSError) as error:
        print(f"{arguments[0]}: cannot be decoded: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
