"""What a file in `targets/`, `recipes/`, `spaces/` and `policies/` holds, before names in it are looked up."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgebuild.spec.fields import STRICT
from edgebuild.spec.target import GateSpec, Hardware, LeastFidelity, Runtime, Timing


class RecipeLine(BaseModel):
    """A step by name; every other key is an option of that step, checked when the plan is made."""

    model_config = ConfigDict(extra="allow")
    use: str


class RecipeTable(BaseModel):
    """A recipe as a table: its own steps, or one that has a name, and what is done with steps that buy nothing."""

    model_config = STRICT
    use: Annotated[str | None, Field(description="a recipe by name, instead of steps")] = None
    steps: tuple[RecipeLine, ...] | None = None
    drop_useless: Annotated[bool, Field(description="leave out steps that cost and buy nothing on the target")] = False

    @model_validator(mode="after")
    def _either(self) -> RecipeTable:
        if (self.use is None) == (self.steps is None):
            raise ValueError("a recipe has either steps or the name of another in use")
        return self


class RecipeFile(BaseModel):
    """The content of one file in `recipes/`: steps, or the names of other recipes that are tried in order."""

    model_config = STRICT
    description: str
    steps: Annotated[tuple[RecipeLine, ...] | None, Field(min_length=1)] = None
    first_of: Annotated[
        tuple[str, ...] | None, Field(min_length=2, description="recipes of which the first is taken that passes")
    ] = None
    drop_useless: bool = False

    @model_validator(mode="after")
    def _either(self) -> RecipeFile:
        if (self.steps is None) == (self.first_of is None):
            raise ValueError("a recipe has either steps or the names of others in first_of")
        return self


class WayLine(BaseModel):
    """A step by name; every other key is an option of it: a value, `choices`, or a range."""

    model_config = ConfigDict(extra="allow")
    use: str


class SpaceLine(BaseModel):
    """A place in the recipes of a space: a step, or `one_of` several; every other key is an option as in these."""

    model_config = ConfigDict(extra="allow")
    use: str | None = None
    one_of: Annotated[tuple[WayLine, ...], Field(description="steps of which one is taken")] = ()
    name: Annotated[
        str | None, Field(pattern=r"^[\w-]+$", description="by which conditions know it; usually its step's")
    ] = None
    optional: Annotated[bool, Field(description="whether it may be left out")] = False
    when: Annotated[tuple[str, ...], Field(description="it is there only where one of these holds")] = ()
    unless: Annotated[tuple[str, ...], Field(description="it is left out where one of these holds")] = ()

    @model_validator(mode="after")
    def _either(self) -> SpaceLine:
        if (self.use is None) == (not self.one_of):
            raise ValueError("a place has either a step in use, or several in one_of")
        if self.one_of and self.model_extra:
            raise ValueError(f"options are those of a step in one_of, and {next(iter(self.model_extra))!r} is none's")
        if len({way.use for way in self.one_of}) < len(self.one_of):
            raise ValueError("one_of names a step twice")
        return self


class RangeTable(BaseModel):
    """Numbers from one to another, both included; with `log` they are drawn by their ratio."""

    model_config = STRICT
    low: Annotated[int | float, Field(alias="from")]
    high: Annotated[int | float, Field(alias="to")]
    step: Annotated[int | float | None, Field(gt=0)] = None
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> RangeTable:
        if self.low >= self.high:
            raise ValueError(f"a range goes up, and from {self.low} to {self.high} does not")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log a range is above zero and has no step")
        return self


class FitsTable(BaseModel):
    """The models that a space is the usual one for."""

    model_config = STRICT
    trainable: bool | None = None
    tasks: tuple[str, ...] = ()


class SpaceFile(BaseModel):
    """The content of one file in `spaces/`."""

    model_config = STRICT
    description: str
    steps: Annotated[tuple[SpaceLine, ...], Field(min_length=1)]
    fits: Annotated[FitsTable, Field(description="the models that it is the usual space of")] = FitsTable()
    order: Annotated[tuple[tuple[str, ...], ...], Field(description="steps that may follow each other any way")] = ()
    goals: Annotated[tuple[GateSpec, ...], Field(description="limits with which a search is satisfied")] = ()
    starts: Annotated[tuple[dict[str, Any], ...], Field(description="values by dimension that are tried first")] = ()
    sampler: Literal["tpe", "nsga2"] = "tpe"


class PolicyFile(BaseModel):
    """The content of `policies/default.toml`: the gates of every release. Those of other tasks than a model's rest."""

    model_config = STRICT
    description: str
    gates: Annotated[tuple[GateSpec, ...], Field(min_length=1)]


class DeviceLine(BaseModel):
    """A device by transport; every other key is an option of that transport."""

    model_config = ConfigDict(extra="allow")
    transport: str
    measures: tuple[Literal["outputs", "latency"], ...] = ("outputs", "latency")


class TargetFile(BaseModel):
    """The content of one file in `targets/`."""

    model_config: ClassVar[ConfigDict] = STRICT
    description: str
    hardware: Hardware
    runtimes: Annotated[tuple[Runtime, ...], Field(min_length=1)]
    recipe: tuple[RecipeLine, ...] = ()
    devices: Annotated[tuple[DeviceLine, ...], Field(min_length=1)]
    fidelity: Annotated[LeastFidelity, Field(description="the least evidence that counts")] = LeastFidelity()
    gates: Annotated[tuple[GateSpec, ...], Field(description="what a release must prove, in the policy's place")] = ()
    policy: Annotated[bool, Field(description="beside these gates, those of the policy on other metrics")] = False
    regressions: Annotated[tuple[GateSpec, ...], Field(description="limits against an earlier release")] = ()
    timing: Timing = Timing()
    packages: Annotated[tuple[str, ...], Field(description="kinds of package to make of each released bundle")] = ()

    @field_validator("runtimes")
    @classmethod
    def _differ(cls, runtimes: tuple[Runtime, ...]) -> tuple[Runtime, ...]:
        formats = [runtime.format for runtime in runtimes]
        if len({*formats}) < len(formats):
            raise ValueError(f"a format may be named once, got {', '.join(formats)}")
        return runtimes

    @model_validator(mode="after")
    def _enough_cores(self) -> TargetFile:
        """More threads than cores would be predicted as if each had a core of its own."""
        for number, runtime in enumerate(self.runtimes):
            if self.hardware.core is not None and runtime.threads > self.hardware.cores:
                told = f"runtimes[{number}].threads is {runtime.threads}, and hardware.cores is {self.hardware.cores}"
                raise ValueError(told)
        return self
