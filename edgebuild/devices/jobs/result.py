"""What runners answer, by the mode of the job: of `result.json` what is asked for, with its types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edgebuild.devices.jobs import outcome
from edgebuild.spec import documents
from edgebuild.spec.documents import named
from edgebuild.spec.errors import DeviceError, UsageError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answered:
    """Mode "outputs", of a model: how many examples were run, their CPU time, and what ran elsewhere than was asked."""

    examples: int
    cpu_s: float
    fallback: str | None = field(default=None, metadata=named("told"))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Mode "outputs": the versions of runtimes (None: not there), the CPU time of the process, and each model."""

    runtimes: Mapping[str, str | None]
    cpu_s: float
    models: Mapping[str, Answered]


@dataclass(frozen=True, slots=True)
class TimedModel:
    """Mode "latency", of a model: nanoseconds of every inference, of those that warmed up, and of loading it."""

    values_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    load_ns: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Mode "latency": resident memory before a model was loaded, the most it became, and each model."""

    base_rss_bytes: int | None
    peak_rss_bytes: int | None
    models: Mapping[str, TimedModel]


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator: its name and type, the shape of its first output, its time in an inference, its share of all."""

    name: str
    op: str
    output: tuple[int, ...] | None
    median_us: float
    share: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Mode "layers", of a model: its operators in the order of execution, or the reason why there are none."""

    layers: tuple[Layer, ...] | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """Mode "layers"."""

    models: Mapping[str, Profile]


@dataclass(frozen=True, slots=True)
class CountedOperator:
    """An operator as in `Layer`, and the region of what was counted that it is."""

    name: str
    op: str
    output: tuple[int, ...] | None
    region: int


@dataclass(frozen=True, slots=True)
class CountedOperators:
    """Mode "layer-counts", of a model: its operators, or the reason why there are none.

    `least` and `most` is how often the runtime has read a clock; each reading ended a region.
    """

    operators: tuple[CountedOperator, ...] | None
    least: int = 0
    most: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """Mode "layer-counts"."""

    models: Mapping[str, CountedOperators]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a file: `shape` has −1 for what is open, `axes` the names of axes where they have one."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantized: bool
    axes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """Mode "describe", of a model: its inputs and outputs by position."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """Mode "describe"."""

    models: Mapping[str, Ports]


def read(kind: type[Result], job: Path) -> Result:
    """The result of a job, of which `kind` says what is wanted; DeviceError where it is not there."""
    content = outcome.read_result(job)
    try:
        return documents.from_json(kind, content, file=str(job / outcome.RESULT), partly=True)
    except UsageError as error:
        raise DeviceError(error.reason, file=error.file, key=error.key) from None
