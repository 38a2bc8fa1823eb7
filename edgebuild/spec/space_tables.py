"""What a file in `spaces/` holds, before names in it are looked up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from edgebuild.spec.fields import OPEN, STRICT
from edgebuild.spec.target import GateSpec


class WayLine(BaseModel):
    """A step by name; every other key is an option of it: a value, `choices`, or a range."""

    model_config = OPEN
    use: str


class SpaceLine(BaseModel):
    """A place in the recipes of a space: a step, or `one_of` several; every other key is an option as in these."""

    model_config = OPEN
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
