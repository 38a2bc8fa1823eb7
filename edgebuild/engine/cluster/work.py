"""What a build and its workers tell each other: small documents, in which models and data are digests alone."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from edgebuild import __version__
from edgebuild.engine import digests
from edgebuild.spec import documents, sha256
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError

Document = TypeVar("Document")

NAME = "edgebuild"  # under which a worker says what it is, and is found by what it is sent
PROCESSOR = "processor"  # beside the parts of a key: what its bytes depend on for `same-cpu`


@dataclass(frozen=True, slots=True)
class Profile:
    """A worker: the version, code and Python that it runs, the cache that it shares through, and how many steps it runs
    side by side.
    """

    version: str
    code: str
    python: str
    cache: str
    slots: int

    @property
    def shown(self) -> str:
        """What must be the same on both sides, as messages show it."""
        return f"edgebuild {self.version} (code {self.code[:12]}, Python {self.python})"


@dataclass(frozen=True, slots=True)
class Work:
    """A step to run: how it is spelled, the key that it must have, its inputs by role, and what else counts in the key.

    machine: on which machines its bytes hold, as entries of a cache say it
    topic: under which the build hears of its progress
    """

    label: str
    step: Any
    key: str
    kind: str
    inputs: Mapping[str, Artifact]
    code: tuple[str, ...]
    tools: tuple[str, ...]
    facts: Mapping[str, str]
    machine: str
    memory: int
    seconds: float
    topic: str


@dataclass(frozen=True, slots=True)
class Done:
    """The result is in the cache, under the step's key: the digest of the output, and how long the step took (s)."""

    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Refused:
    """There it would be another step: the parts of the key as they are on the worker, or why it can have none."""

    worker: str
    parts: Mapping[str, str]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unserved:
    """The worker could not get at an input, or not send the result."""

    worker: str
    unserved: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The step ran and failed, as it would anywhere."""

    error: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a step that was sent."""

    key: str
    result: Done | Refused | Unserved | Failed


@dataclass(frozen=True, slots=True)
class News:
    """What a worker says while it runs a step: that it begins (done 0, no note), or how far it is."""

    key: str
    worker: str
    done: float = 0.0
    note: str = ""


def write(document: object) -> str:
    """The document as text."""
    return json.dumps(documents.to_json(document), ensure_ascii=False)


def read(kind: type[Document], text: object) -> Document:
    """The document in a text; ValueError for any other thing."""
    try:
        document: Document = documents.from_json(kind, json.loads(str(text)), file="cluster")
    except (ValueError, UsageError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return document


def profile(shown: str, slots: int) -> Profile:
    """What this machine is, as a worker that shares through the cache of this name."""
    return Profile(__version__, code(), platform.python_version(), shown, slots)


@cache
def code() -> str:
    """The digest of all of edgebuild's own files."""
    root = Path(__file__).resolve().parents[2]
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    data = root / "_data"  # targets and models of a wheel, which are inputs and no code
    own = (path for path in paths if not path.is_relative_to(data))
    return digests.of_json({path.relative_to(root).as_posix(): sha256.of_file(path) for path in own})
