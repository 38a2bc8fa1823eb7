"""Arrays over TCP between the halves of a split model: length-prefixed, authenticated, bounded, never waiting for ever.

Both sides send MAGIC and 16 random bytes; the session's key is HMAC-SHA256 of these with the shared key, which comes
from a file or the environment and is never in a bundle. A frame is the payload's length (4 bytes, big-endian), the
payload and HMAC-SHA256 over the direction, the frame's number and the payload: nothing can be forged, replayed or
reordered. What is sent can be read by who sees the network: a tunnel hides it. Payloads are arrays as plain bytes.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import struct
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

MAGIC = b"EBLINK1\n"
SERVER = "EDGEBUILD_SERVER"
KEY, KEY_FILE = "EDGEBUILD_LINK_KEY", "EDGEBUILD_LINK_KEY_FILE"
LEAST_KEY = 16  # bytes
TYPES = (
    *("float32", "int64", "int32", "uint8", "int8"),
    *("float16", "float64", "int16", "uint16", "uint32", "uint64", "bool"),
)
ARRAYS, FAILED = 0, 1  # the first byte of a payload
OVERHEAD = 4 + 1 + 1 + 32  # bytes of a frame beside its arrays' own headers and values: length, kind, count, proof
_MOST_ARRAYS, _MOST_AXES = 64, 8
Array = Any


class LinkError(Exception):
    """The other half cannot be reached, is not who it should be, or does not answer in time; one line for people."""


def shared_key() -> bytes:
    """The key that both halves have; LinkError where there is none, or one that can be guessed."""
    path, text = os.environ.get(KEY_FILE), os.environ.get(KEY)
    try:
        key = open(path, "rb").read().strip() if path else (text or "").encode()  # noqa: SIM115 (closed with the name)
    except OSError as error:
        raise LinkError("the key cannot be read: %s: %s" % (path, error.strerror)) from None
    if not key:
        raise LinkError("there is no key: %s names a file with one, or %s has it" % (KEY_FILE, KEY))
    if len(key) < LEAST_KEY:
        raise LinkError("the key has %d bytes, and %d are the least" % (len(key), LEAST_KEY))
    return key


def address(text: str) -> Tuple[str, int]:
    """The host and port of `host:port`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise LinkError("%r is no address: host:port" % text)
    return host.strip("[]"), int(port)


def pack(arrays: Sequence[Array]) -> bytes:
    """Arrays as bytes: how many, and for each its type, its axes and its values, little-endian."""
    parts = [struct.pack(">B", len(arrays))]
    for array in arrays:
        values = np.asarray(array, order="C")
        if values.dtype.name not in TYPES:
            raise LinkError("values of type %s cannot be sent" % values.dtype)
        parts.append(struct.pack(">BB%dI" % values.ndim, TYPES.index(values.dtype.name), values.ndim, *values.shape))
        parts.append(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return b"".join(parts)


def unpack(data: bytes) -> List[Array]:
    """The arrays in some bytes; LinkError for bytes that are no such thing."""
    try:
        (count,), place, arrays = struct.unpack_from(">B", data), 1, []
        if count > _MOST_ARRAYS:
            raise LinkError("%d arrays are too many" % count)
        for _ in range(count):
            kind, axes = struct.unpack_from(">BB", data, place)
            if kind >= len(TYPES) or axes > _MOST_AXES:
                raise LinkError("an array of no known type or shape came")
            shape = struct.unpack_from(">%dI" % axes, data, place + 2)
            place += 2 + 4 * axes
            dtype, size = np.dtype(TYPES[kind]).newbyteorder("<"), 1
            for each in shape:
                size *= each
            if place + size * dtype.itemsize > len(data):
                raise LinkError("an array came that ends before its values do")
            values = np.frombuffer(data, dtype, size, place).reshape(shape)
            arrays.append(values.astype(TYPES[kind]))
            place += size * dtype.itemsize
    except struct.error:
        raise LinkError("a frame came that ends too soon") from None
    if place != len(data):
        raise LinkError("a frame came with %d bytes too many" % (len(data) - place))
    return arrays


def frame(arrays: Sequence[Array]) -> int:
    """Bytes that arrays take on the wire: length, kind, the arrays packed, and what proves where they come from."""
    return len(pack(arrays)) + OVERHEAD - 1


class Channel:
    """One authenticated connection; every wait ends within `seconds`, no frame is longer than `most` bytes."""

    def __init__(self, connection: socket.socket, key: bytes, most: int, seconds: float, serves: bool) -> None:
        self._connection, self._most, self._seconds = connection, most, seconds
        self._ours, self._theirs = (b"S", b"C") if serves else (b"C", b"S")
        self._sent = self._taken = 0
        own = os.urandom(16)
        self._write(MAGIC + own)
        greeting = self._read(len(MAGIC) + 16)
        if greeting[: len(MAGIC)] != MAGIC:
            raise LinkError("the other side is no half of a split model")
        other = greeting[len(MAGIC) :]
        nonces = other + own if serves else own + other
        self._key = hmac.new(key, b"edgebuild link" + nonces, hashlib.sha256).digest()

    def send(self, arrays: Sequence[Array]) -> None:
        """Send arrays."""
        self._frame(bytes([ARRAYS]) + pack(arrays))

    def fail(self, text: str) -> None:
        """Send why there are none."""
        self._frame(bytes([FAILED]) + text.encode()[:1000])

    def receive(self) -> List[Array]:
        """The arrays that the other side sends; LinkError where it fails, or is not who has the key."""
        (size,) = struct.unpack(">I", self._read(4))
        if not 0 < size <= self._most:
            raise LinkError("a frame of %d bytes came, and %d are the most" % (size, self._most))
        payload = self._read(size)
        tag, self._taken = self._read(32), self._taken + 1
        if not hmac.compare_digest(tag, self._tag(self._theirs, self._taken, payload)):
            raise LinkError("the other side has another key")
        if payload[0] == FAILED:
            raise LinkError("the other half failed: %s" % payload[1:].decode(errors="replace"))
        return unpack(payload[1:])

    def _frame(self, payload: bytes) -> None:
        if len(payload) > self._most:
            raise LinkError("%d bytes are to be sent, and %d are the most" % (len(payload), self._most))
        self._sent += 1
        self._write(struct.pack(">I", len(payload)) + payload + self._tag(self._ours, self._sent, payload))

    def _tag(self, direction: bytes, number: int, payload: bytes) -> bytes:
        return hmac.new(self._key, direction + struct.pack(">Q", number) + payload, hashlib.sha256).digest()

    def _write(self, data: bytes) -> None:
        self._connection.settimeout(self._seconds)
        try:
            self._connection.sendall(data)  # its time-out is for all of it
        except OSError as error:
            raise LinkError("the link broke: %s" % _told(error)) from None

    def _read(self, count: int) -> bytes:
        """So many bytes, all of them within the time."""
        ends, data = time.monotonic() + self._seconds, bytearray()
        while len(data) < count:
            left = ends - time.monotonic()
            if left <= 0:
                raise LinkError("no answer within %g s" % self._seconds)
            self._connection.settimeout(left)
            try:
                part = self._connection.recv(min(count - len(data), 1 << 16))
            except socket.timeout:
                raise LinkError("no answer within %g s" % self._seconds) from None
            except OSError as error:
                raise LinkError("the link broke: %s" % _told(error)) from None
            if not part:
                raise LinkError("the other side closed the link")
            data += part
        return bytes(data)


class Client:
    """The edge's end: connects when something is first asked, and again after a failure."""

    def __init__(self, where: str, most: int, seconds: float) -> None:
        self._where, self._most, self._seconds = where, most, seconds
        self._connection: Optional[socket.socket] = None
        self._channel: Optional[Channel] = None

    def ask(self, arrays: Sequence[Array]) -> List[Array]:
        """What the other half answers; LinkError where it does not."""
        try:
            if self._channel is None:
                self._channel = self._open()
            self._channel.send(arrays)
            return self._channel.receive()
        except LinkError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._channel = None

    def _open(self) -> Channel:
        key = shared_key()
        try:
            self._connection = socket.create_connection(address(self._where), self._seconds)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise LinkError("%s cannot be reached: %s" % (self._where, _told(error))) from None
        return Channel(self._connection, key, self._most, self._seconds, serves=False)


CLIENTS: Dict[str, Client] = {}


def remote() -> Optional[str]:
    """Where the server's part runs, host:port; None where it runs here."""
    return os.environ.get(SERVER) or None


def asked(where: str, rule: Mapping[str, float], arrays: Sequence[Array]) -> List[Array]:
    """What the server's part answers, over one connection for all questions; LinkError where it does not."""
    if where not in CLIENTS:
        CLIENTS[where] = Client(where, int(rule["bytes"]), rule["seconds"])
    return CLIENTS[where].ask(arrays)


def _told(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
