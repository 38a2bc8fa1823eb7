"""What a file in `targets/`, `recipes/` and `policies/` holds, before names in it are looked up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from edgebuild.spec.fields import OPEN, STRICT
from edgebuild.spec.target import GateSpec, Hardware, LeastFidelity, Runtime, Timing


class RecipeLine(BaseModel):
    """A step by name; every other key is an option of that step, checked when the plan is made."""

    model_config = OPEN
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


class PolicyFile(BaseModel):
    """The content of `policies/default.toml`: the gates of every release. Those of other tasks than a model's rest."""

    model_config = STRICT
    description: str
    gates: Annotated[tuple[GateSpec, ...], Field(min_length=1)]


class DeviceLine(BaseModel):
    """A device by transport; every other key is an option of that transport."""

    model_config = OPEN
    transport: str
    measures: tuple[Literal["outputs", "latency"], ...] = ("outputs", "latency")


class TargetFile(BaseModel):
    """The content of one file in `targets/`."""

    model_config = STRICT
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
                message = (
                    f"runtimes[{number}].threads is {runtime.threads}, and hardware.cores is {self.hardware.cores}"
                )
                raise ValueError(message)
        return self
