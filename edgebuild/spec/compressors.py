"""Which general compressors Python has: what they make of the same bytes changes with their version, not with ours."""

from __future__ import annotations

import lzma
import zlib

from edgebuild.spec import sha256

# Text, a run, and numbers without a pattern: enough for two versions that search for repeats differently to differ.
_PROBE = b"".join(b"%d " % (k * k % 997) for k in range(2000)) + bytes(3000) + bytes(k * k % 251 for k in range(5000))


def versions() -> dict[str, str]:
    """By name the compressor's version, as far as Python says it, and the digest of what it makes of a probe."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    deflated = packer.compress(_PROBE) + packer.flush()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 16}]  # memory for 8 MiB costs 8 ms
    return {
        "zlib": f"{zlib.ZLIB_RUNTIME_VERSION} {_digest(deflated)}",
        "lzma": _digest(lzma.compress(_PROBE, lzma.FORMAT_RAW, filters=filters)),
    }


def _digest(data: bytes) -> str:
    return sha256.of_bytes(data)[:16]
