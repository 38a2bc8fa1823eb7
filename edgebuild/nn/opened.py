"""Which files Python opens for reading while the user's code runs: what a build cannot know of beforehand.

Only what goes through Python's own `open` is seen; a library that opens files in C is not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_watching: list[set[str]] = []
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib")


@contextmanager
def watched() -> Iterator[set[str]]:
    """The absolute paths that are opened for reading meanwhile."""
    _install()
    seen: set[str] = set()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


@cache
def _install() -> None:
    sys.addaudithook(_hook)  # it cannot be taken away again: it is idle while nobody watches


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event != "open":
        return
    path, _, flags = arguments
    if isinstance(path, str | os.PathLike) and not flags & (os.O_WRONLY | os.O_CREAT):
        for seen in _watching:
            seen.add(os.path.abspath(path))


def outside(seen: set[str], known: list[Path]) -> list[str]:
    """Those of the files that lie neither below `known` paths nor among Python's own and the system's."""
    own = (sys.prefix, sys.base_prefix, sys.pycache_prefix, *sys.path)
    places = [*map(str, known), *_SYSTEM, *filter(None, own)]
    tops = {top for place in places for top in (os.path.abspath(place), os.path.realpath(place))}
    return sorted(
        path for path in seen if os.path.isfile(path) and not any(f"{path}/".startswith(f"{top}/") for top in tops)
    )
