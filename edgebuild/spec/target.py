"""A target: the hardware, its runtimes, the recipe, the devices that stand for it; gates, and the policy of all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import AfterValidator, ConfigDict, Field

from edgebuild.spec.artifact import EXCUSED
from edgebuild.spec.core import Core
from edgebuild.spec.fields import STRICT, Seed
from edgebuild.spec.layout import Layout
from edgebuild.spec.units import Bytes, BytesPerSecond, Hertz, OpsPerSecond, Seconds

Fidelity = Literal["hardware", "emulated", "host", "estimated"]
FIDELITIES: tuple[Fidelity, ...] = ("estimated", "host", "emulated", "hardware")


def reaches(fidelity: Fidelity, required: Fidelity) -> bool:
    """Whether evidence of `fidelity` is good enough for a gate that asks for `required`."""
    return FIDELITIES.index(fidelity) >= FIDELITIES.index(required)


@dataclass(frozen=True, slots=True)
class Roofline:
    """Peak rates for an estimate of time where no device can be had (Williams 2009)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    peak: Annotated[OpsPerSecond, Field(description="peak arithmetic rate at the recipe's precision")]
    bandwidth: Annotated[BytesPerSecond, Field(description="memory bandwidth")]
    source: Annotated[str, Field(description="where the figures come from")]


@dataclass(frozen=True, slots=True)
class Soc:
    """A system on chip as Android names it: Build.SOC_MANUFACTURER and Build.SOC_MODEL."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    manufacturer: str
    model: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the model will run on. `clock` is in Hz, `ram` in bytes."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    arch: Annotated[str, Field(description="instruction set: aarch64, x86_64, or host")]
    cpu: Annotated[str, Field(description="core name as compilers know it, such as cortex-a72")]
    cores: Annotated[int, Ge(1)] = 1
    clock: Hertz | None = None
    ram: Bytes | None = None
    isa: tuple[str, ...] = ()
    channel_multiple: Annotated[int, Ge(1), Field(description="channel counts that its kernels like")] = 8
    accelerator: str | None = None
    socs: Annotated[
        tuple[Soc, ...], Field(description="systems on chip of Android devices that it stands for; none: any")
    ] = ()
    roofline: Roofline | None = None
    core: Annotated[Core | None, Field(description="what an emulator must show of it; needs clock and ram")] = None

    def __post_init__(self) -> None:
        """ValueError for a core whose clock or memory nobody states: a guess would be taken for a measurement."""
        needs = (
            ("clock", self.clock, "its time is predicted from it"),
            ("ram", self.ram, "an emulator must show it"),
        )
        for name, value, reason in needs:
            if self.core is not None and value is None:
                raise ValueError(f"{name} is missing, and a declared core needs it: {reason}")

    @property
    def core_clock(self) -> float:
        """Hz of the declared core."""
        assert self.clock is not None  # __post_init__ sees to it
        return self.clock

    @property
    def core_ram(self) -> int:
        """Bytes of memory beside the declared core."""
        assert self.ram is not None  # __post_init__ sees to it
        return self.ram


@dataclass(frozen=True, slots=True)
class Runtime:
    """What executes the model on the target: a file format, threads, and the runtime's own settings."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    format: Annotated[str, Field(description="file format, such as onnx or tflite")]
    threads: Annotated[int, Ge(1)] = 1
    providers: Annotated[tuple[str, ...], Field(description="ONNX Runtime execution providers, best first")] = ()
    layout: Annotated[
        Layout | None, Field(description="of pictures that go in and come out; left out: what the format runs fastest")
    ] = None


def _increasing(looks: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in pairwise(looks)):
        raise ValueError(f"looks must increase, got {', '.join(map(str, looks))}")
    return looks


@dataclass(frozen=True, slots=True)
class Timing:
    """How time is measured: processes at each look, rounds and warm-up of a process, seconds until it is given up.

    Slow models have fewer rounds (but 30), and less warm-up, so that each takes at most the `longest` seconds; not
    where a percentile is judged, for which there must be all.
    The defaults are those of the protocol; smaller ones suit a quick look, larger ones a noisy device.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    looks: Annotated[tuple[Annotated[int, Ge(1)], ...], Field(min_length=1), AfterValidator(_increasing)] = (10, 20, 40)
    iterations: Annotated[int, Ge(1)] = 200
    warmup_iterations: Annotated[int, Ge(1)] = 60
    warmup: Seconds = 2.0
    longest: Seconds = 4.0
    timeout: Seconds = field(default=600.0, metadata=EXCUSED)
    seed: Seed = 0

    def whole(self) -> Timing:
        """With all rounds in every process, however slow the models are."""
        return replace(self, longest=math.inf)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One line of a recipe: which step, with which options. `file` and `key` are where it says so, for messages."""

    use: str
    options: Mapping[str, Any]
    key: str = ""
    file: str = ""


SEARCHED = "search"  # a recipe of this name stands for what the last search has found
USUAL = "balanced"  # and where there was none, for the model's own, else for this one


@dataclass(frozen=True, slots=True)
class Recipe:
    """The techniques in order; with `drop_useless` those that cost and buy nothing on the target are left out.

    `otherwise` takes its place for a model on a target where what it makes does not pass; `failed` are the names of
    those that did not, in whose place it is.
    """

    steps: tuple[StepSpec, ...] = ()
    drop_useless: bool = False
    name: str | None = None
    description: str = ""
    otherwise: Recipe | None = None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device that stands for the target: how to reach it and what it is trusted to measure."""

    transport: str
    measures: tuple[str, ...] = ("outputs", "latency")
    options: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class LeastFidelity:
    """The least evidence that counts for a target, by what its devices measure: what the best of them can give."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    outputs: Annotated[Fidelity, Field(description="of answers")] = "host"
    latency: Annotated[Fidelity, Field(description="of time, memory and counted work")] = "host"


@dataclass(frozen=True, slots=True)
class GateSpec:
    """A gate as a file declares it; without a `fidelity` it asks for what the target says of its devices."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    metric: str
    limit: Annotated[str, Field(description='what the metric takes; "none": this metric is not judged')]
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    fidelity: Fidelity | None = None
    output: Annotated[str | None, Field(description="of a model with several: the one that is judged, not each")] = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on one metric. `confidence` is one-sided; `fidelity` is the least that may pass.

    `output` is the head whose answers are judged, or for parity the one output; None where there is no choice, and for
    the parity of all.
    """

    metric: str
    limit: str
    confidence: float = 0.95
    fidelity: Fidelity = "host"
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What every release must prove, whatever the target; `file` is the one that says so."""

    gates: tuple[GateSpec, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A target profile, as one file in `targets/` declares it.

    `gates` are its own and hold a candidate against the float model; with `policy` those of the policy on other metrics
    do so as well. `regressions` hold it against an earlier release. `fidelity` is the least evidence that counts.
    `packages` are kinds of package that are made of each released bundle.
    """

    name: str
    description: str
    hardware: Hardware
    runtimes: tuple[Runtime, ...]
    recipe: Recipe
    devices: tuple[DeviceSpec, ...]
    gates: tuple[GateSpec, ...]
    timing: Timing
    file: str
    regressions: tuple[GateSpec, ...] = ()
    fidelity: LeastFidelity = field(default_factory=LeastFidelity)
    policy: bool = True
    packages: tuple[str, ...] = ()
