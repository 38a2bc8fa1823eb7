"""Reads targets, recipes, policies and models from TOML: the one place where what a person wrote is checked."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
    with_config,
)

from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import STRICT
from edgebuild.spec.model import ModelFile, ModelSpec
from edgebuild.spec.names import suggest
from edgebuild.spec.target import (
    DeviceSpec,
    GateSpec,
    Hardware,
    LeastFidelity,
    Policy,
    Recipe,
    Runtime,
    StepSpec,
    Target,
    Timing,
)

T = TypeVar("T")

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


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
    """The content of one file in `recipes/`."""

    model_config = STRICT
    description: str
    steps: Annotated[tuple[RecipeLine, ...], Field(min_length=1)]
    drop_useless: bool = False


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


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """The tables of a TOML file; UsageError with the line where it is not TOML, not UTF-8 or not readable."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", file=shown) from None
    except RecursionError:
        raise UsageError("nested too deeply", file=shown) from None
    except ValueError as error:  # TOMLDecodeError, and what Python says of numbers with thousands of digits
        raise UsageError(f"not valid TOML: {error}", file=shown) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=shown) from None


def read_target(path: Path, shown: str, recipes: Callable[[str], Recipe] | None = None) -> Target:
    """The target that the file declares; UsageError with file, key and reason when it does not.

    `recipes` finds a recipe by its name, for files that name one.
    """
    given = read_toml(path, shown)
    recipe = _recipe(given.get("recipe", []), shown, recipes)
    declared = check(TargetFile, given | ({"recipe": []} if recipe else {}), file=shown)
    devices = tuple(
        DeviceSpec(line.transport, line.measures, line.model_extra or {}, f"devices[{i}]")
        for i, line in enumerate(declared.devices)
    )
    return Target(
        name=path.stem,
        description=declared.description,
        hardware=declared.hardware,
        runtimes=declared.runtimes,
        recipe=recipe or Recipe(_steps(declared.recipe, "recipe", shown)),
        devices=devices,
        gates=declared.gates,
        timing=declared.timing,
        file=shown,
        regressions=declared.regressions,
        fidelity=declared.fidelity,
        policy=declared.policy or not declared.gates,
    )


def read_recipe(path: Path, shown: str) -> Recipe:
    """The recipe that a file in `recipes/` declares; UsageError with file, key and reason when it does not."""
    declared = check(RecipeFile, read_toml(path, shown), file=shown)
    return Recipe(_steps(declared.steps, "steps", shown), declared.drop_useless, path.stem, declared.description)


def read_policy(path: Path, shown: str) -> Policy:
    """The policy that a file declares; UsageError with file, key and reason when it does not."""
    return Policy(check(PolicyFile, read_toml(path, shown), file=shown).gates, shown)


def _recipe(given: Any, shown: str, recipes: Callable[[str], Recipe] | None) -> Recipe | None:
    """A recipe that is given as a name or a table; None for a list of steps, or for what is none of them."""
    if isinstance(given, str):
        given = {"use": given}
    if not isinstance(given, dict):
        return None
    table = check(RecipeTable, given, file=shown, prefix="recipe")
    if table.use is None:
        return Recipe(_steps(table.steps or (), "recipe.steps", shown), table.drop_useless)
    if recipes is None:
        raise UsageError(f"no recipe {table.use!r} can be found here", file=shown, key="recipe")
    named = recipes(table.use)
    return dataclasses.replace(named, drop_useless=named.drop_useless or table.drop_useless)


def _steps(lines: tuple[RecipeLine, ...], key: str, shown: str) -> tuple[StepSpec, ...]:
    return tuple(StepSpec(line.use, line.model_extra or {}, f"{key}[{i}]", shown) for i, line in enumerate(lines))


def read_model(folder: Path, shown: str) -> ModelSpec:
    """The model that `folder/model.toml` declares; UsageError with file, key and reason when it does not."""
    declared = check(ModelFile, read_toml(folder / "model.toml", shown), file=shown)
    try:
        tasks.check(declared.answers, smoothed=declared.smooths)
    except UsageError as error:
        raise _placed(error, shown) from None
    return ModelSpec(name=folder.name, folder=folder, file=shown, declared=declared)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    if dataclasses.is_dataclass(kind) and "__pydantic_config__" not in vars(kind):
        kind = with_config(STRICT)(cast(Any, kind))  # a step or a device, which need not know how its options are read
    return TypeAdapter(kind)


def check(kind: type[T], data: Mapping[str, Any], *, file: str, prefix: str = "") -> T:
    """`data` as a `kind`, or UsageError for its first mistake; `prefix` is where in the file the data stands.

    Nothing is converted: "0.5" is no number, 1.5 and true are no whole numbers. It is read as JSON, where lists may
    stand for tuples all the same.
    """
    try:
        checked: T = _adapter(cast(Any, kind)).validate_json(json.dumps(dict(data), default=_date), strict=True)
    except ValidationError as error:
        raise _first_mistake(error, kind, file, prefix) from None
    except RecursionError:
        raise UsageError("nested too deeply", file=file, key=prefix or None) from None
    except UsageError as error:  # of a declaration that knows the key of its mistake, and not the file
        raise _placed(error, file, prefix) from None
    return checked


def _placed(error: UsageError, file: str, prefix: str = "") -> UsageError:
    key = ".".join(filter(None, (prefix, error.key)))
    return UsageError(error.reason, file=file, key=key or None, hint=error.hint)


def _date(value: object) -> dict[str, str]:
    """TOML's dates and times are the one type that JSON lacks; as a table they fit nothing."""
    return {type(value).__name__: str(value)}


def _first_mistake(error: ValidationError, kind: type, file: str, prefix: str) -> UsageError:
    mistakes = error.errors(include_url=False)
    mistake = min(mistakes, key=lambda found: found["type"] not in _UNKNOWN)  # it may be why another is missing
    location, reason = mistake["loc"], mistake["msg"]
    key = _key(location, prefix) or None
    if mistake["type"] in _UNKNOWN:
        name = str(location[-1])
        hint = suggest(name, _known_keys(kind, location))
        return UsageError(f"unknown key {name!r}", file=file, key=_key(location[:-1], prefix) or None, hint=hint)
    match mistake["type"]:
        case "missing" | "missing_argument":
            return UsageError("is missing", file=file, key=key)
        case "value_error":
            return UsageError(reason.removeprefix("Value error, "), file=file, key=key)
        case "json_invalid":
            return UsageError("nested too deeply", file=file, key=key)
    return UsageError(f"{reason[0].lower()}{reason[1:]}, got {_short(mistake['input'])}", file=file, key=key)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _key(location: tuple[int | str, ...], prefix: str) -> str:
    key = prefix
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif not part.startswith("["):  # "[key]" is pydantic's word for a mistake in a key itself, others ours (Tag)
            name = part if re.fullmatch(r"[\w-]+", part) else repr(part)
            key += f".{name}" if key else name
    return key


def _known_keys(kind: type, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema allows at `location`, for a message about one that it does not."""
    schema = _schema(kind)
    here = schema
    for part in location[:-1]:
        if isinstance(part, int):
            here = next((option["items"] for option in (here, *_options(here)) if "items" in option), {})
        elif not part.startswith("["):
            here = _resolve(schema, here).get("properties", {}).get(part, {})
    return [*_resolve(schema, here).get("properties", {})]


@cache
def _schema(kind: Any) -> dict[str, Any]:
    return _adapter(kind).json_schema()


def _resolve(schema: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    for option in (here, *_options(here)):
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return resolved
    return here


def _options(here: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schemas of which one is to hold, however deep they are nested."""
    for option in (*here.get("anyOf", ()), *here.get("oneOf", ())):
        yield option
        yield from _options(option)


def schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a declared kind (`TargetFile`, `ModelFile` or a step)."""
    return _adapter(kind).json_schema()
