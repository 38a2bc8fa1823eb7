"""Reads targets and models from TOML: the one place where what a person wrote is checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelFile, ModelSpec
from edgebuild.spec.target import DeviceSpec, Gate, Hardware, Runtime, StepSpec, Target, Timing

T = TypeVar("T")


class RecipeLine(BaseModel):
    """A step by name; every other key is an option of that step, checked when the plan is made."""

    model_config = ConfigDict(extra="allow")
    use: str


class DeviceLine(BaseModel):
    """A device by transport; every other key is an option of that transport."""

    model_config = ConfigDict(extra="allow")
    transport: str
    measures: tuple[Literal["outputs", "latency"], ...] = ("outputs", "latency")


class TargetFile(BaseModel):
    """The content of one file in `targets/`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    description: str
    hardware: Hardware
    runtimes: Annotated[tuple[Runtime, ...], Field(min_length=1)]
    recipe: tuple[RecipeLine, ...] = ()
    devices: Annotated[tuple[DeviceLine, ...], Field(min_length=1)]
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)]
    timing: Timing = Timing()


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """The tables of a TOML file; UsageError with the line where it is not TOML, not UTF-8 or not readable."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", file=shown) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", file=shown) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=shown) from None


def read_target(path: Path, shown: str) -> Target:
    """The target that the file declares; UsageError with file, key and reason when it does not."""
    declared = check(TargetFile, read_toml(path, shown), file=shown)
    recipe = tuple(
        StepSpec(line.use, line.model_extra or {}, f"recipe[{i}]") for i, line in enumerate(declared.recipe)
    )
    devices = tuple(
        DeviceSpec(d.transport, d.measures, d.model_extra or {}, f"devices[{i}]") for i, d in enumerate(declared.devices)
    )
    return Target(
        name=path.stem,
        description=declared.description,
        hardware=declared.hardware,
        runtimes=declared.runtimes,
        recipe=recipe,
        devices=devices,
        gates=declared.gates,
        timing=declared.timing,
        file=shown,
    )


def read_model(folder: Path, shown: str) -> ModelSpec:
    """The model that `folder/model.toml` declares; UsageError with file, key and reason when it does not."""
    declared = check(ModelFile, read_toml(folder / "model.toml", shown), file=shown)
    return ModelSpec(name=folder.name, folder=folder, file=shown, declared=declared)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def check(kind: type[T], data: Mapping[str, Any], *, file: str, prefix: str = "") -> T:
    """`data` as a `kind`, or UsageError for its first mistake; `prefix` is where in the file the data stands."""
    try:
        checked: T = _adapter(kind).validate_python(dict(data))
    except ValidationError as error:
        raise _first_mistake(error, kind, file, prefix) from None
    return checked


def _first_mistake(error: ValidationError, kind: type, file: str, prefix: str) -> UsageError:
    mistake = error.errors(include_url=False)[0]
    key = _key(mistake["loc"], prefix)
    match mistake["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            parent, _, name = key.rpartition(".")
            known = _known_keys(kind, mistake["loc"])
            return UsageError(f"unknown key {name!r}", file=file, key=parent or None, hint=f"known: {known}" if known else None)
        case "missing" | "missing_argument":
            return UsageError("is missing", file=file, key=key)
    reason = mistake["msg"].removeprefix("Value error, ")
    reason = reason[0].lower() + reason[1:]
    return UsageError(f"{reason}, got {mistake['input']!r}", file=file, key=key)


def _key(location: tuple[int | str, ...], prefix: str) -> str:
    key = prefix
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _known_keys(kind: type, location: tuple[int | str, ...]) -> str:
    """The keys that the schema allows at `location`, for a message about one that it does not."""
    schema = _adapter(kind).json_schema()
    here = schema
    for part in location[:-1]:
        here = _resolve(schema, here)
        here = here.get("items", {}) if isinstance(part, int) else here.get("properties", {}).get(part, {})
    return ", ".join(_resolve(schema, here).get("properties", {}))


def _resolve(schema: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    for option in (here, *here.get("anyOf", ())):
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return resolved
    return here


def schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a declared kind (`TargetFile`, `ModelFile` or a step)."""
    return _adapter(kind).json_schema()
