"""What a cache says of a step's result: the files of the output with digests and sizes, in Bazel's `ActionResult`.

Servers made for that read the message, and give an entry only while they have all its files; what is our own lies in
its `stdout_raw`, which nobody but us reads. Only what is whole, plain and about the key that was asked is an entry.
https://github.com/bazelbuild/remote-apis/blob/main/build/bazel/remote/execution/v2/remote_execution.proto
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgebuild.engine import digests
from edgebuild.spec import documents
from edgebuild.spec.artifact import Artifact, Determinism
from edgebuild.spec.errors import UsageError

VERSION = 1
MOST_BYTES = 16 << 20  # of an entry
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[^\\\0]{1,4096}")
_FILES, _STDOUT = 2, 5  # fields of ActionResult
_PATH, _DIGEST = 1, 2  # of OutputFile
_HASH, _SIZE = 1, 2  # of Digest


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of an output: its SHA-256 and its size in bytes."""

    digest: str
    size: int

    @property
    def name(self) -> str:
        """Where it lies in the cache."""
        return f"cas/{self.digest}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A result: of which key, what kind of artifact with which files, how long it took (s), and who may take it: the
    step's own word for that, and the machines on which it holds.
    """

    key: str
    step: str
    shared: Determinism
    machine: str
    kind: str
    output: str
    files: Mapping[str, Blob]
    seconds: float

    @property
    def name(self) -> str:
        """Where it lies in the cache."""
        return name(self.key, self.shared, self.machine)

    @property
    def artifact(self) -> Artifact:
        """The output."""
        return Artifact(self.kind, self.output)

    def to_bytes(self, secret: str | None) -> bytes:
        """An `ActionResult`; with a secret, the entry is signed by it."""
        text = digests.canonical({"edgebuild": VERSION, **documents.to_json(self)})
        body = {"entry": text} | ({"hmac": _sign(text, secret)} if secret else {})
        files = [
            _field(_FILES, _field(_PATH, path.encode()) + _field(_DIGEST, _digest(blob)))
            for path, blob in sorted(self.files.items())
        ]
        return b"".join([*files, _field(_STDOUT, digests.canonical(body).encode())])


def blobs(folder: Path) -> dict[str, Blob]:
    """The files of an output that is in `folder`, by relative path."""
    return {path: Blob(digest, (folder / path).stat().st_size) for path, digest in digests.listing(folder).items()}


def name(key: str, shared: Determinism, machine: str) -> str:
    """Where the result for a key lies; what holds on some machines only lies apart for each kind of them."""
    parts = {"edgebuild": VERSION, "key": key, "shared": shared, "machine": machine}
    return f"ac/{digests.of_json(parts)}"


def parse(data: bytes, expected: str, secret: str | None) -> Entry:
    """The entry that lies at `expected`; ValueError with the reason for what is none that may be believed."""
    try:
        (stdout,) = [value for number, value in _fields(data) if number == _STDOUT]
        body = json.loads(stdout)
        text = body["entry"]
        plain = json.loads(text)
        signature = body.get("hmac", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("is damaged") from None
    if secret is not None and not (isinstance(signature, str) and _signed(text, secret, signature)):
        raise ValueError("is not signed with this secret")
    try:
        if plain.pop("edgebuild") != VERSION:
            raise ValueError("is of another version")
        entry: Entry = documents.from_json(Entry, plain, file="entry")
    except (UsageError, KeyError, AttributeError, TypeError):
        raise ValueError("is damaged") from None
    if entry.name != expected:
        raise ValueError("is about another key")
    _check(entry)
    return entry


def _check(entry: Entry) -> None:
    """ValueError unless the files are such as an artifact has, and their digests those of the output."""
    paths = {PurePosixPath(path) for path in entry.files}
    plain = all(_is_plain(path) for path in entry.files) and not any({*path.parents} & paths for path in paths)
    whole = all(_SHA256.fullmatch(blob.digest) and blob.size >= 0 for blob in entry.files.values())
    listing = {path: blob.digest for path, blob in entry.files.items()}
    if not (plain and whole and math.isfinite(entry.seconds) and digests.of_contents(listing) == entry.output):
        raise ValueError("is damaged")


def _is_plain(path: str) -> bool:
    """Whether the path stays inside its artifact."""
    pure = PurePosixPath(path)
    inside = not pure.is_absolute() and ".." not in pure.parts and bool(pure.parts)
    return bool(_PLAIN.fullmatch(path)) and inside and pure.as_posix() == path


def _sign(text: str, secret: str) -> str:
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def _signed(text: str, secret: str, signature: str) -> bool:
    return hmac.compare_digest(_sign(text, secret).encode(), signature.encode())


# The wire format of protocol buffers, as far as it is needed: https://protobuf.dev/programming-guides/encoding/
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _digest(blob: Blob) -> bytes:
    return _field(_HASH, blob.digest.encode()) + _varint(_SIZE << 3 | _VARINT) + _varint(blob.size)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that hold bytes, by number; ValueError for what is no message."""
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        length = {_FIXED64: 8, _FIXED32: 4}.get(tag & 7, 0)
        if tag & 7 == _BYTES:
            length, place = _read_varint(data, place)
        elif tag & 7 == _VARINT:
            _, place = _read_varint(data, place)
        elif not length:
            raise ValueError("no message")
        if place + length > len(data):
            raise ValueError("cut short")
        if tag & 7 == _BYTES:
            yield tag >> 3, data[place : place + length]
        place += length


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64 and place < len(data):
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
        shift += 7
    raise ValueError("no number")
