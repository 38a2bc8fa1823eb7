"""Where answers come from: what executed a file, how much that is worth, and why on so many examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec.target import Fidelity

FILE = "origin.json"  # beside the outputs


@dataclass(frozen=True, slots=True)
class Cut:
    """What the time cut off: the examples that were to be run, their CPU seconds, and those that were allowed."""

    goal: int
    needed_s: float
    allowed_s: float


@dataclass(frozen=True, slots=True)
class Looks:
    """After how many examples the gates were asked, of how many at most, and why it ended there."""

    at: tuple[int, ...]
    most: int
    why: str
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What answered: a device, its runtimes' versions, and the fidelity of that.

    `fallback` is one line on work that ran elsewhere than was asked; `looks` are those of a device that stopped early.
    """

    fidelity: Fidelity
    device: str
    runtimes: Mapping[str, str | None]
    fallback: str | None = None
    looks: Looks | None = None


@dataclass(frozen=True, slots=True)
class Runs:
    """That a device's runtime takes the model at all."""

    device: str
    runtimes: Mapping[str, str | None]
