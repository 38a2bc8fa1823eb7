"""Archives whose bytes are decided by their contents alone: names sorted, times fixed, nothing compressed.

What a compressor makes depends on its version, and model files hardly get smaller by one.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Mapping

EPOCH = 315532800  # 1980-01-01T00:00:00Z: the earliest time that a zip file can tell
_BLOCK = 65535  # bytes that one stored block holds


def zipped(files: Mapping[str, bytes], before: bytes = b"") -> bytes:
    """A zip file of these, in their order, behind what may come before it in the same file."""
    stream = io.BytesIO(before)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, a plain file
            archive.writestr(entry, content, zipfile.ZIP_STORED)
    return stream.getvalue()


def tarred(files: Mapping[str, bytes], programs: Collection[str] = (), root: str = "") -> bytes:
    """A tar file of these by name, of user and group 0, each folder before what is in it; `programs` can be executed.

    `root` comes before every name.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders = {parent for name in files for parent in _parents(name)}
        for name in sorted({*folders, *files}):
            entry = tarfile.TarInfo(f"{root}{name}")
            entry.mtime, entry.uname, entry.gname = EPOCH, "root", "root"
            if name in folders:
                entry.type, entry.mode, entry.name = tarfile.DIRTYPE, 0o755, f"{root}{name}"
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(files[name]), 0o755 if name in programs else 0o644
                archive.addfile(entry, io.BytesIO(files[name]))
    return stream.getvalue()


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def gzipped(content: bytes) -> bytes:
    """A gzip file (RFC 1952) of blocks without compression (RFC 1951, section 3.2.4)."""
    starts = range(0, max(1, len(content)), _BLOCK)
    blocks = [(content[start : start + _BLOCK], start == starts[-1]) for start in starts]
    body = b"".join(struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part for part, last in blocks)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # no time; as if by the slowest way, on no known system
    return head + body + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
