"""Latencies that others measured on real boards, and the networks they measured, as published.toml says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebuild.spec.units import parse_bytes_per_second, parse_hertz

_FILE = Path(__file__).with_name("published.toml")
_ROW = ("net", "numbers", "milliseconds")
_CONTENT: dict[str, Any] = tomllib.loads(_FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Net:
    """A network that `library` builds by `name`, of square photographs; `auxiliary`: without its second classifier."""

    title: str
    library: str
    name: str
    side: int = 224
    auxiliary: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """`milliseconds` of a network on `threads` threads at `clock` Hz; 0 threads where nobody says how many.

    `set`: "fit" where the constants of the core are fitted to it, "test" where nothing is; "later" where constants and
    bands had been stated before it was known.
    """

    net: str
    numbers: str
    milliseconds: float
    core: str
    device: str
    clock: float
    runtime: str
    format: str
    threads: int
    threads_stated: bool
    same_kernels: bool
    set: Literal["fit", "test", "later"]
    source: str


def _figures() -> list[Figure]:
    figures = []
    for group in _CONTENT["figures"]:
        shared = {name: value for name, value in group.items() if name != "rows"} | {
            "clock": parse_hertz(group["clock"])
        }
        figures += [Figure(**dict(zip(_ROW, row, strict=True)), **shared) for row in group["rows"]]
    return figures


NETS = {name: Net(**each) for name, each in _CONTENT["nets"].items()}
FIGURES = _figures()
MEMORY = {name: parse_bytes_per_second(each["rate"]) for name, each in _CONTENT["memory"].items()}
LEFT_OUT: list[dict[str, str]] = _CONTENT["left_out"]
