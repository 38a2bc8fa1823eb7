"""Quantities with units as people write them: "40 ms", "4 MiB", "1 pp", "-50 %", "1.5 GHz"."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_QUANTITY = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([^\d\s].*?)?\s*$")

BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
COUNTS = {"k": 1e3, "M": 1e6, "G": 1e9}
SHARE = {"pp": 1e-2, "%": 1e-2}
BYTES_PER_SECOND = {"MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}
BITS_PER_SECOND = {"kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}
OPS_PER_SECOND = {"GFLOP/s": 1e9, "TFLOP/s": 1e12, "PFLOP/s": 1e15}


def parse(text: object, units: dict[str, float] | dict[str, int]) -> float:
    """The value of `text` in the base unit of `units` (the one whose factor is 1).

    Raises ValueError that names the units when the unit is missing or unknown: a bare number never counts,
    since "40" may be milliseconds or microseconds. The value is finite.
    """
    known = ", ".join(units)
    match = _QUANTITY.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write a number and a unit ({known})")
    number, unit = match.groups()
    if unit is None:
        raise ValueError(f"{text!r} has no unit; use one of {known}")
    if unit not in units:
        raise ValueError(f"unknown unit {unit!r} in {text!r}; use one of {known}")
    value = float(number) * units[unit]
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is too large")
    return value


def parse_bytes(text: object) -> int:
    """Bytes, a whole number above zero; a fraction of a byte is dropped."""
    return int(_positive(int(parse(text, BYTES)), text))


def parse_seconds(text: object) -> float:
    """Seconds, above zero."""
    return _positive(parse(text, SECONDS), text)


def parse_hertz(text: object) -> float:
    """Hertz, above zero."""
    return _positive(parse(text, HERTZ), text)


def parse_bytes_per_second(text: object) -> float:
    """Bytes per second, above zero."""
    return _positive(parse(text, BYTES_PER_SECOND), text)


def parse_bits_per_second(text: object) -> float:
    """Bits per second, above zero."""
    return _positive(parse(text, BITS_PER_SECOND), text)


def parse_ops_per_second(text: object) -> float:
    """Floating-point operations per second, above zero."""
    return _positive(parse(text, OPS_PER_SECOND), text)


def parse_share(text: object) -> float:
    """A share of one, above zero and below one."""
    value = _positive(parse(text, SHARE), text)
    if value >= 1:
        raise ValueError(f"{text!r} must be below 100 %")
    return value


def _positive(value: float, text: object) -> float:
    if value <= 0:
        raise ValueError(f"{text!r} must be above zero")
    return value


def exact_bytes(count: int) -> str:
    """`count` bytes in the largest unit that says them exactly, as `parse_bytes` reads it."""
    unit = max((unit for unit, factor in BYTES.items() if count % factor == 0), key=lambda unit: BYTES[unit])
    return f"{count // BYTES[unit]} {unit}"


def show_bytes(count: float) -> str:
    """`count` bytes as a person reads it, in binary units."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def show_count(count: float) -> str:
    """A large count with a decimal suffix: 1.2 k, 3.4 M, 5.6 G."""
    for suffix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(count) >= factor:
            return f"{count / factor:.2f} {suffix}"
    return f"{count:.0f}"


def show_seconds(seconds: float) -> str:
    """A duration with three significant digits in the unit that fits."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _text(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example]})


Bytes = Annotated[int, BeforeValidator(parse_bytes), _text("4 GiB")]
Seconds = Annotated[float, BeforeValidator(parse_seconds), _text("40 ms")]
Hertz = Annotated[float, BeforeValidator(parse_hertz), _text("1.5 GHz")]
BytesPerSecond = Annotated[float, BeforeValidator(parse_bytes_per_second), _text("5.5 GB/s")]
BitsPerSecond = Annotated[float, BeforeValidator(parse_bits_per_second), _text("10 Mbit/s")]
OpsPerSecond = Annotated[float, BeforeValidator(parse_ops_per_second), _text("65 TFLOP/s")]
Share = Annotated[float, BeforeValidator(parse_share), _text("1 pp")]
