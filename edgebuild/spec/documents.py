"""Documents that edgebuild writes for itself, as JSON: read back strictly into the dataclass that they were made of.

A document that has other fields than its type is of another version of edgebuild, and is refused with the field that
says so; nothing is converted or guessed. What people write is read elsewhere, by `spec/files.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from edgebuild.spec.errors import UsageError

Document = TypeVar("Document")
Json = Any  # what `json` reads and writes

SCHEMA = 2  # of all documents; another number is another version's
_PLAIN = (float, int, str, bool)
_NAME = "document"  # the key of a field's metadata
_HINT = "it is of another version of edgebuild: build it again with this one"


def named(name: str) -> dict[str, str]:
    """Metadata of a field that is called `name` in a document; one that is None by default is only there if not."""
    return {_NAME: name}


def write(path: Path, document: object) -> None:
    """Write a dataclass, with the number of the schema beside its fields."""
    content = {"schema": SCHEMA} | to_json(document)
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def to_json(value: object) -> Json:
    """A dataclass as plain data, as `json` writes and reads it."""
    if is_dataclass(value) and not isinstance(value, type):
        table = {item.name: (getattr(value, name), item.optional) for name, item in _fields(type(value)).items()}
        return {name: to_json(each) for name, (each, omitted) in table.items() if each is not None or not omitted}
    if isinstance(value, Mapping):
        return {str(name): to_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def read(kind: type[Document], path: Path) -> Document:
    """The document in a file; UsageError with file and field for any that `kind` did not write."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot be read: {error}", file=str(path), hint=_HINT) from None
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise UsageError(f"is no document of schema {SCHEMA}", file=str(path), hint=_HINT)
    return from_json(kind, content, file=str(path))


def from_json(kind: type[Document], content: Json, *, file: str, key: str = "", partly: bool = False) -> Document:
    """`content` as a `kind`; UsageError with `file` and the field for what does not fit, none of it converted.

    A field without a value in `content` has its default; a union is the first of its dataclasses that has these fields.
    `partly`: what others wrote may say more, which is not read.
    """
    try:
        document: Document = _Reader(partly).value(kind, content, key)
    except _Misfit as misfit:
        raise UsageError(misfit.reason, file=file, key=misfit.key or None, hint=_HINT) from None
    return document


class _Misfit(Exception):
    """What does not fit, and where."""

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads plain data as a type; `partly`: as far as the type goes."""

    partly: bool

    def value(self, kind: Any, content: Json, key: str) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:  # options of plug-ins, which know what they may be
            return content
        if is_dataclass(kind):
            return self.record(kind, content, key)
        if origin in (Union, UnionType):
            return self.either(arguments, content, key)
        if origin is Literal:
            return content if content in arguments else _refuse(key, " or ".join(map(str, arguments)), content)
        if origin is not None:
            return (self.tuple_ if origin is tuple else self.mapping)(arguments, content, key)
        return self.plain(kind, content, key)

    def plain(self, kind: Any, content: Json, key: str) -> Any:
        """A number, text or truth value; a float may be written without its fraction."""
        if kind is float and type(content) is int:
            return float(content)
        return content if type(content) is kind else _refuse(key, f"of type {kind.__name__}", content)

    def record(self, kind: Any, content: Json, key: str) -> Any:
        table = content if isinstance(content, dict) else _refuse(key, "a table", content)
        known = {item.name: (name, item) for name, item in _fields(kind).items()}
        for name in table:
            if name not in known and not self.partly:
                raise _Misfit(_below(key, name), "is unknown")
        for name, (_, item) in known.items():
            if item.needed and name not in table:
                raise _Misfit(_below(key, name), "is missing")
        values = {
            own: self.value(item.kind, table[name], _below(key, name))
            for name, (own, item) in known.items()
            if name in table
        }
        try:
            return kind(**values)
        except ValueError as error:
            raise _Misfit(key, str(error)) from None

    def either(self, kinds: tuple[Any, ...], content: Json, key: str) -> Any:
        """None, or the first kind that has these fields, or this type."""
        if content is None and type(None) in kinds:
            return None
        some = [kind for kind in kinds if kind is not type(None)]
        fitting = [kind for kind in some if is_dataclass(kind) and isinstance(content, dict) and _has(kind, content)]
        if fitting or len(some) == 1:
            return self.value((fitting or some)[0], content, key)
        if (plain := next((kind for kind in some if type(content) is kind), None)) is not None:
            return self.value(plain, content, key)
        return _refuse(key, " or ".join(kind.__name__ for kind in some), content)

    def mapping(self, kinds: tuple[Any, ...], content: Json, key: str) -> dict[str, Any]:
        table = content if isinstance(content, dict) else _refuse(key, "a table", content)
        return {name: self.value(kinds[1], each, _below(key, name)) for name, each in table.items()}

    def tuple_(self, kinds: tuple[Any, ...], content: Json, key: str) -> tuple[Any, ...]:
        items = content if isinstance(content, list | tuple) else _refuse(key, "a list", content)
        if kinds[0] in _PLAIN and kinds[1:] == (Ellipsis,) and {*map(type, items)} <= {kinds[0]}:
            return tuple(items)  # times: many, and each would be given a name first
        each = kinds[:1] * len(items) if kinds[1:] == (Ellipsis,) else kinds
        if len(each) != len(items):
            _refuse(key, f"a list of {len(each)}", content)
        return tuple(
            self.value(kind, item, f"{key}[{n}]") for n, (kind, item) in enumerate(zip(each, items, strict=True))
        )


def _has(kind: Any, content: Mapping[str, Json]) -> bool:
    items = _fields(kind).values()
    return {*content} <= {item.name for item in items} and {item.name for item in items if item.needed} <= {*content}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field in documents: its name and type there, whether each must have it, and whether None is left out."""

    name: str
    kind: Any
    needed: bool
    optional: bool


@cache
def _fields(kind: Any) -> dict[str, _Field]:
    types = get_type_hints(kind)
    return {
        field.name: _Field(
            field.metadata.get(_NAME, field.name),
            types[field.name],
            field.default is MISSING and field.default_factory is MISSING,
            _NAME in field.metadata and field.default is None,
        )
        for field in fields(kind)
    }


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _refuse(key: str, expected: str, content: Json) -> NoReturn:
    text = json.dumps(content, default=str)
    raise _Misfit(key, f"is not {expected}: {text if len(text) <= 60 else text[:57] + '…'}")
