"""Nothing is downloaded while a package's code builds a network: whoever tries to reach another machine fails.

Libraries catch such an error and try again, or go on without: so what was tried is remembered, and refused at the end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from edgebuild.spec.errors import UsageError

# What Hugging Face's libraries read once, when they are imported.
_ENVIRONMENT: Mapping[str, str] = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_NAMING, _REACHING = ("socket.getaddrinfo", "socket.gethostbyname"), ("socket.connect", "socket.sendto")
_watching: list[list[str]] = []


@contextmanager
def offline(what: str) -> Iterator[None]:
    """UsageError that says from where `what` would be downloaded, if another machine is asked for anything meanwhile.

    What is raised in its stead, because nothing came, is the cause.
    """
    _install()
    os.environ.update(_ENVIRONMENT)
    tried: list[str] = []
    _watching.append(tried)
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        failed = error
        if not tried:
            raise
    finally:
        _watching.remove(tried)
    if tried:
        hint = "weights are files of the project: name yours in source.weights"
        raise UsageError(f"{what} would be downloaded from {tried[0]}, and nothing is", hint=hint) from failed


@cache
def _install() -> None:
    sys.addaudithook(_hook)  # it cannot be taken away again: it is idle while nobody watches


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in (*_NAMING, *_REACHING):
        return
    place = arguments[0] if event in _NAMING else arguments[1]
    if event in _REACHING and not isinstance(place, tuple):
        return  # a socket of this machine's own, by its path
    host = str(place[0] if isinstance(place, tuple) else place)
    for tried in _watching:
        tried.append(host)
    raise ConnectionError(f"nothing is downloaded, and {host} was asked for something")
