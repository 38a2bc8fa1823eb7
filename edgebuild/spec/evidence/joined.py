"""What the parts of an assembly do: how often each runs, what it weighs and takes, and what that makes of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec.evidence.answers import Rate
from edgebuild.spec.target import Fidelity

FILE = "rule.json"  # in the artifact of what decides which parts answer


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides which parts answer, by the names that the router knows; why it is so, in words."""

    use: str
    rule: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartRuns:
    """In how many `of` the examples a part ran, with the share and its interval."""

    runs: int
    of: int
    share: Rate


@dataclass(frozen=True, slots=True)
class Runs:
    """The same of each part, by name."""

    parts: Mapping[str, PartRuns]


@dataclass(frozen=True, slots=True)
class PartTimes:
    """Seconds of one inference of each part's file, by format and part."""

    fidelity: Fidelity
    formats: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A part: its file's bytes, the seconds of one inference where time was had, and how often it runs."""

    name: str
    bytes: int
    seconds: float | None
    runs: PartRuns


@dataclass(frozen=True, slots=True)
class JoinedTimes:
    """Seconds of the whole: the mean by how often each part runs, at the interval's ends, and where all parts run."""

    fidelity: Fidelity
    mean: float
    low: float
    high: float
    worst: float


@dataclass(frozen=True, slots=True)
class Joined:
    """An assembly's parts in their order, what joins them, and the time of the whole where it was had."""

    joined: Rule
    parts: tuple[JoinedPart, ...]
    times: JoinedTimes | None = None
