"""A processor core as an emulator must show it and as a model of its speed needs it: data of a target's profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT
from edgebuild.spec.units import Bytes, BytesPerSecond, Seconds


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache of a core, as its technical reference manual states it. `shared_by` counts cores."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    level: Annotated[int, Field(ge=1, le=3)]
    kind: Literal["Data", "Instruction", "Unified"]
    size: Bytes
    ways: Annotated[int, Ge(1)]
    shared_by: Annotated[int, Ge(1)] = 1

    @property
    def name(self) -> str:
        """What counts and `miss_cycles` call it: l1d, l1i, l2, l3."""
        return f"l{self.level}" + ({"Data": "d", "Instruction": "i"}[self.kind] if self.kind != "Unified" else "")


@dataclass(frozen=True, slots=True)
class Band:
    """How far a prediction on at most so many `threads` may be off, as a relative error either way.

    format: the files of which it is known (with their runtime); None: of all that no other band is for
    coverage: the share of predictions that lie within, where published `figures` that were not fitted to support it
    figures: how many of them; 0: none, and the error is an assumption
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    threads: Annotated[int, Ge(1)]
    error: Annotated[float, Gt(0)]
    format: str | None = None
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    figures: Annotated[int, Ge(0)] = 0

    def limits(self, seconds: float) -> tuple[float, float]:
        """Between which times the true one lies where so many seconds are predicted."""
        return seconds * max(0.0, 1 - self.error), seconds * (1 + self.error)

    @property
    def basis(self) -> str:
        """What it rests on, in a few words."""
        if not self.figures:
            return "not calibrated"
        few = self.figures < self.coverage / (1 - self.coverage) - 1e-9
        return f"{self.coverage:.0%} by {self.figures} published figures{', normal errors assumed' if few else ''}"


@dataclass(frozen=True, slots=True)
class TimeModel:
    """Constants that turn counted work into seconds, and how far such a prediction may be off.

    mcpu: LLVM's name of the core whose pipelines stand for this one
    miss_cycles: cycles that a miss costs beyond what the pipeline model counts, per cache but the last
    dram: bandwidth of main memory, for the last cache's misses
    bands: how far a prediction may be off, by format and threads
    ratio_band: relative error of the ratio of two artifacts on this core
    sources: where each constant was measured or published
    fork_join: what each operator costs more where several threads share it: they are woken, and wait for the last
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    mcpu: str
    dram: BytesPerSecond
    miss_cycles: dict[Literal["l1i", "l1d", "l2", "l3"], Annotated[float, Ge(0)]]
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    ratio_band: Annotated[float, Field(gt=0, lt=1)]
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    fork_join: Seconds | None = None

    def band(self, format_name: str, threads: int) -> Band:
        """That of the format, else of any; for the next larger number of threads that is stated, or the widest."""
        own = [band for band in self.bands if band.format == format_name]
        known = own or [band for band in self.bands if band.format is None] or [*self.bands]
        larger = [band for band in known if band.threads >= threads]
        return min(larger, key=_threads) if larger else max(known, key=_error)


def _threads(band: Band) -> int:
    return band.threads


def _error(band: Band) -> float:
    return band.error


@dataclass(frozen=True, slots=True)
class Core:
    """What Linux says of the processor; it must agree with what the emulator executes under the same name.

    Numbers of the main ID register (MIDR_EL1) are as in the core's technical reference manual; `features` are the
    kernel's names of hardware capabilities: one that the core lacks makes runtimes choose kernels that crash.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    part: Annotated[int, Gt(0)]
    variant: Annotated[int, Ge(0)]
    revision: Annotated[int, Ge(0)]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    caches: Annotated[tuple[Cache, ...], Field(min_length=1)]
    implementer: Annotated[int, Gt(0)] = 0x41
    board: str = ""
    time: TimeModel | None = None

    def __post_init__(self) -> None:
        """ValueError unless the time model says what a miss of each cache but the last costs, and of no other."""
        if self.time is None:
            return
        last = max(cache.level for cache in self.caches)
        needed, stated = {cache.name for cache in self.caches if cache.level < last}, {*self.time.miss_cycles}
        if stated != needed:
            names = (", ".join(sorted(each)) or "none" for each in (needed, stated))
            raise ValueError("time.miss_cycles must be stated for {}, not for {}".format(*names))
