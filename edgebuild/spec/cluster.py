"""The address of a cluster's scheduler, as people write it."""

from __future__ import annotations

import re

from edgebuild.spec.errors import UsageError

VARIABLE = "EDGEBUILD_CLUSTER"
_ADDRESS = re.compile(r"(tcp|tls)://([^\s/:@\[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


def address(text: str, key: str) -> str:
    """The address; UsageError, which names `key`, for what is none."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match[3]) < 2**16:
        raise UsageError("is no address of a scheduler", key=key, hint="such as tcp://scheduler.example.com:8786")
    return text
