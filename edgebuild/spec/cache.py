"""What every remote cache can do: give and keep bytes under a name; whether they are right is not its task."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry

Pieces = Generator[bytes, None, None]


class CacheError(Exception):
    """A cache that cannot be used as it should be, in a few words that hold no credentials.

    refused: whether it answers and says no, so that asking again changes nothing
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        """`reason` goes to the user as it is."""
        super().__init__(reason)
        self.refused = refused


class Cache(Protocol):
    """A place for results that machines share; one file in `engine/caches/`.

    Names are `cas/<sha256>` and `ac/<key>`, as in Bazel's HTTP caching protocol
    (https://bazel.build/remote/caching#http-caching). Every method may be called from several threads, ends within a
    time of its own where nothing is heard, and raises CacheError for all that is not as it should be.

    schemes: of the URLs that it takes
    """

    schemes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __init__(self, url: str, variables: Mapping[str, str]) -> None:
        """Nothing is asked yet; UsageError for a URL that is none, or where a package is lacking.

        `variables` are those of the environment that begin with EDGEBUILD_CACHE; steps do not see them.
        """

    @abstractmethod
    def read(self, name: str) -> Pieces | None:
        """What lies under the name, in pieces of at most 1 MiB; None where nothing does."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """How many bytes lie under the name; None where nothing does, or it is not known how many."""

    @abstractmethod
    def write(self, name: str, content: Path | bytes) -> None:
        """Put a file's content, or these bytes, under the name: all of it or nothing."""

    def close(self) -> None:
        """Let go of what the thread that calls it holds, such as a connection."""


CACHES: Registry[Cache] = Registry(
    Cache,  # type: ignore[type-abstract]
    "edgebuild.engine.caches",
    "kind of cache",
    "edgebuild.caches",
)
VARIABLE = "EDGEBUILD_CACHE"


@dataclass(frozen=True, slots=True)
class Place:
    """Which cache a build shares results through: whether it only takes from it, and the secret that signs entries.

    Only `shown` may be printed or kept: the others may hold credentials.
    """

    url: str = field(repr=False)
    kind: str
    read_only: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The URL without credentials."""
        return shown(self.url)

    @property
    def secret(self) -> str | None:
        """What entries are signed with, and must have been signed with; None where they are not."""
        return self.variables.get(f"{VARIABLE}_SECRET") or None

    def open(self) -> Cache:
        """The cache; nothing is asked yet. UsageError for what cannot be one."""
        return CACHES.get(self.kind)(self.url, self.variables)


def place(url: str | None, *, read_only: bool) -> Place | None:
    """The cache at a URL, None where none is named; UsageError for one that no kind of cache takes.

    Takes the variables out of the environment, so that no step inherits a secret.
    """
    names = [name for name in os.environ if name.startswith(VARIABLE)]
    variables = {name: os.environ.pop(name) for name in names}
    if not url:
        return None
    scheme, separator, rest = url.partition("://")
    kinds = {one: name for name, kind in CACHES.usable().items() for one in kind.schemes}
    if not separator or not rest or scheme not in kinds:
        hint = f"one that begins with {', '.join(f'{one}://' for one in sorted(kinds))}"
        raise UsageError("is no URL of a cache", key="--cache", hint=hint)
    return Place(url, kinds[scheme], read_only, variables)


def shown(url: str) -> str:
    """The URL as it may be printed and kept: without user, password and query, where tokens are."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(a URL that cannot be read)"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
