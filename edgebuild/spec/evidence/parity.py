"""How far a converted file's outputs are from the torch model's, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec.evidence.origin import Origin


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences of two outputs on the same n examples.

    max_abs: largest absolute difference; relative: that over the largest absolute reference; cosine: the least
    over examples; agreement: share of examples with the same largest value, where outputs are scores; snr_db: power
    of the reference over that of the difference, in decibels.
    """

    n: int
    max_abs: float
    relative: float
    cosine: float
    snr_db: float
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """One output of the float32 file, and of the file that would be shipped, each against torch's."""

    converted: Comparison
    candidate: Comparison


@dataclass(frozen=True, slots=True)
class OnDevice:
    """The same of a device's own outputs, on the examples that ran there."""

    origin: Origin
    outputs: Mapping[str, Converted]


@dataclass(frozen=True, slots=True)
class Parity:
    """Every output of both files against torch's; `origin` says what computed them, `device` has a device's own."""

    origin: Origin
    outputs: Mapping[str, Converted]
    device: OnDevice | None = None


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Every output of the float file against that of the file which another converter makes of the same model.

    `converter` is what that belongs to, with its version; `refused` is why it makes none.
    """

    converter: Mapping[str, str | None]
    outputs: Mapping[str, Comparison]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class SourceParity:
    """Every output of the float file, before anything is changed, against that of the model that came, in its runtime.

    `origin` is what computed the file's, `original` the runtime of the other with its version; `second` is another
    converter's opinion, where there is one.
    """

    origin: Origin
    original: Mapping[str, str | None]
    outputs: Mapping[str, Comparison]
    second: SecondOpinion | None = None
