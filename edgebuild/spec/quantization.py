"""What a quantizer is asked for, what a format says that it can do, and the refusal of what no kernel computes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Technique = Literal["static", "dynamic", "weights_only", "float16"]
Weights = Literal["int8", "int4", "float16"]
Granularity = Literal["tensor", "channel", "block"]
Activations = Literal["int8", "uint8"]
Borders = Literal["float32", "int8"]
Calibrator = Literal["minmax", "moving_average", "percentile", "entropy", "mse"]
Operators = Literal["auto", "all", "layers"]

# The least and the greatest real value of a tensor; (0, 0) where nothing but 0 was seen.
Range = tuple[float, float]
# Of a tensor in which some values stand for "no value": operators on it stay float.
NO_RANGE: Range = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a float file is to be quantized; `Format.quantize` obeys it.

    technique: integer weights and activations with fixed ranges (static) or with ranges taken at run time (dynamic),
        small weights that are widened for float arithmetic (weights_only), or float16 throughout
    granularity: one scale for each weight tensor, output channel, or block of `block` weights along the inputs
    activations, symmetric: type of quantized activations; symmetric ones have zero point 0 (or 128)
    borders: what the file takes and gives
    calibrator: how ranges follow from what calibration sees; `percentile` is the share of values kept, in percent
    operators: which operators compute in integers: `all` that can, `layers` (those with weights), or what pays (`auto`)
    keep: layers that stay float, by name (see `Layer`)
    ranges: of activations by tensor name, in place of calibrated ones: learnt in training
    """

    technique: Technique
    weights: Weights = "int8"
    granularity: Granularity = "channel"
    block: int = 32
    activations: Activations = "int8"
    symmetric: bool = False
    borders: Borders = "float32"
    calibrator: Calibrator = "minmax"
    percentile: float = 99.99
    operators: Operators = "auto"
    keep: tuple[str, ...] = ()
    apart: tuple[int, ...] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict, hash=False)

    def with_ranges(self, ranges: Mapping[str, Range]) -> Quantization:
        """The same with these ranges of activations."""
        return replace(self, ranges=ranges)


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator of a file with weights of its own.

    name: the torch module's, such as `blocks.0.conv1`, where the file tells it; else the operator's own name
    operator: the format's word, such as Conv or CONV_2D
    source, result: names of the tensors that it reads activations from and writes: keys of `Quantization.ranges`
    """

    name: str
    operator: str
    source: str
    result: str


@dataclass(frozen=True, slots=True)
class Support:
    """One row of a format's table of what is real on its runtime's CPU kernels."""

    technique: Technique
    weights: tuple[Weights, ...]
    granularity: tuple[Granularity, ...]
    covers: str
    arithmetic: str
    activations: tuple[Activations, ...] = ()
    borders: tuple[Borders, ...] = ("float32",)

    def allows(self, how: Quantization) -> bool:
        """Whether this row is what `how` asks for."""
        return (
            self.technique == how.technique
            and how.weights in self.weights
            and how.granularity in self.granularity
            and (not self.activations or how.activations in self.activations)
            and how.borders in self.borders
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """What no kernel of a runtime does, why, and what to do instead; an empty field stands for any value."""

    technique: Technique
    reason: str
    instead: str
    weights: tuple[Weights, ...] = ()
    granularity: tuple[Granularity, ...] = ()
    activations: tuple[Activations, ...] = ()
    borders: tuple[Borders, ...] = ()

    def concerns(self, how: Quantization) -> bool:
        """Whether this is why `how` cannot be had."""
        pairs = (how.weights, self.weights), (how.granularity, self.granularity), (how.activations, self.activations)
        named = all(not covered or value in covered for value, covered in (*pairs, (how.borders, self.borders)))
        return self.technique == how.technique and named


def refusal(table: Iterable[Support], gaps: Iterable[Missing], how: Quantization) -> Missing | None:
    """None when a row of the table is what `how` asks for, else the gap that explains why not."""
    if any(row.allows(how) for row in table):
        return None
    general = Missing(how.technique, "no kernel of this runtime computes it", "see `edgebuild steps`")
    return next((gap for gap in gaps if gap.concerns(how)), general)


def rows(formats: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each of these formats can do and what it cannot, as plain data: the table of `edgebuild steps`."""
    table: list[dict[str, Any]] = []
    for name, kind in formats.items():
        table += [{"format": name, "real": True, **asdict(row)} for row in kind.real]
        for gap in kind.unreal:
            where = f" with borders in {', '.join(gap.borders)}" if gap.borders else ""
            cells = {"covers": f"none{where}", "arithmetic": f"{gap.reason}; instead: {gap.instead}"}
            table.append({"format": name, "real": False, **asdict(gap), **cells})
    return table
