"""A step as plain data and back: dataclasses by name with their fields, and nothing that would run code when read."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, cast

from edgebuild.spec.artifact import Step

_SCALAR = bool | int | float | str | None
Json = Any  # what `json` reads and writes


def spell(value: object) -> Json:
    """The value, which is made of dataclasses, mappings, tuples, lists and scalars; TypeError for any other."""
    if isinstance(value, _SCALAR):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {item.name: spell(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if isinstance(value, Mapping):
        return {"mapping": [[spell(key), spell(item)] for key, item in value.items()]}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [spell(item) for item in value]}
    raise TypeError(f"{type(value).__name__} cannot travel")


def step(content: Json) -> Step:
    """The step that was spelled so; ValueError with the reason where this machine's code knows no such thing."""
    try:
        return cast(Step, _value(content))
    except (ImportError, AttributeError, TypeError, ValueError, KeyError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _value(content: Json) -> Any:
    match content:
        case {"class": str(name), "fields": dict(fields)}:
            return _kind(name)(**{key: _value(item) for key, item in fields.items()})
        case {"mapping": list(pairs)}:
            return {_value(key): _value(item) for key, item in pairs}
        case {"tuple": list(items)}:
            return tuple(_value(item) for item in items)
        case {"list": list(items)}:
            return [_value(item) for item in items]
        case _ if isinstance(content, _SCALAR):
            return content
    raise ValueError("it is no step")


def _kind(name: str) -> type[Any]:
    module, _, path = name.partition(":")
    kind: Any = importlib.import_module(module)
    for part in path.split("."):
        kind = getattr(kind, part)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"{name} is no dataclass")
    return kind
