"""What a person wrote, checked against what it must be: the first mistake in one line, with the key and what to do."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError, with_config

from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import STRICT
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument")


_CREDENTIALS = re.compile(r"[^\s:@]+:[^\s@]*@")


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
    except UsageError as error:
        raise placed(error, file, prefix) from None
    return checked


def placed(error: UsageError, file: str, prefix: str = "") -> UsageError:
    """The mistake where it stands, of a declaration that knows the key and not the file."""
    key = ".".join(filter(None, (prefix, error.key)))
    return UsageError(error.reason, file=file, key=key or None, hint=error.hint)


def schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a declared kind (`TargetFile`, `ModelFile` or a step)."""
    return _adapter(kind).json_schema()


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    if dataclasses.is_dataclass(kind) and "__pydantic_config__" not in vars(kind):
        kind = with_config(STRICT)(cast(Any, kind))  # a step or a device, which need not know how its options are read
    return TypeAdapter(kind)


def _date(value: object) -> dict[str, str]:
    """TOML's dates and times are the one type that JSON lacks; as a table they fit nothing."""
    return {type(value).__name__: str(value)}


def _first_mistake(error: ValidationError, kind: type, file: str, prefix: str) -> UsageError:
    mistakes = error.errors(include_url=False)
    places = [one["loc"] for one in mistakes]

    def rank(one: ErrorDetails) -> tuple[bool, bool, bool]:
        """An unknown key may be why another is missing, and so may a value that says where to look for the others; what
        is said of a list that holds a mistake (it counts those without) follows from that.
        """
        holds = any(len(place) > len(one["loc"]) and place[: len(one["loc"])] == one["loc"] for place in places)
        return one["type"] not in _UNKNOWN, holds, one["type"] in _MISSING

    mistake = min(mistakes, key=rank)
    location, reason = mistake["loc"], mistake["msg"]
    key = _key(location, prefix) or None
    if mistake["type"] in _UNKNOWN:
        name = str(location[-1])
        hint = suggest(name, _known_keys(kind, location))
        return UsageError(f"unknown key {name!r}", file=file, key=_key(location[:-1], prefix) or None, hint=hint)
    match mistake["type"]:
        case missing if missing in _MISSING:
            return UsageError("is missing", file=file, key=key)
        case "value_error":
            return UsageError(reason.removeprefix("Value error, "), file=file, key=key)
        case "union_tag_invalid":
            tag, known = mistake["ctx"]["tag"][1:-1], re.findall(r"\[(\w+)\]", mistake["ctx"]["expected_tags"])
            return UsageError(f"there is no kind {tag!r}", file=file, key=key, hint=suggest(tag, known))
        case "json_invalid":
            return UsageError("nested too deeply", file=file, key=key)
    return UsageError(f"{reason[0].lower()}{reason[1:]}, got {_short(mistake['input'])}", file=file, key=key)


def _short(value: object) -> str:
    """A value as messages repeat it; not where it names a user and a password, as addresses do."""
    if _CREDENTIALS.search(str(value)):
        return "what may hold a password and is not repeated"
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
