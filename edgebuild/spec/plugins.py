"""Finds plug-ins by file name or entry point and checks those from elsewhere, when loaded, against their noun's base.

`techniques/prune_channels.py` holds the class PruneChannels, whose name is `prune_channels`. What a plug-in may have is
declared by its base: a member without a value, or an abstract method, is what each must have; the others have defaults.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.names import class_name, suggest

T = TypeVar("T")

_ABSENT = object()
_METHODS = (FunctionType, staticmethod, classmethod)


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """The plug-ins of one folder of the package and those that other packages bring: classes that inherit `base`.

    `noun` is what messages call one of them, `group` the entry points of those from elsewhere; a file of ours wins over
    an entry point of the same name. `options`: each is a frozen dataclass, whose fields people set in a file. `named`
    is the member that repeats the name.
    """

    base: type[T]
    package: str
    noun: str
    group: str
    options: bool = False
    named: str | None = None

    def names(self) -> list[str]:
        """Every known name, sorted, also of what cannot be used."""
        return sorted({*ours(self.package), *_foreign(self.group)})

    def get(self, name: str, *, file: str | None = None, key: str | None = None) -> type[T]:
        """The class of this name. UsageError with the nearest names when there is none, or with what is wrong with it;
        `file` and `key` are where somebody named it.
        """
        if name not in ours(self.package) and name not in _foreign(self.group):
            raise UsageError(f"unknown {self.noun} {name!r}", file=file, key=key, hint=suggest(name, self.names()))
        kind, refusal = _loaded(self, name)
        if refusal:
            raise UsageError(refusal, file=file, key=key)
        return cast(type[T], kind)

    def usable(self) -> dict[str, type[T]]:
        """Every plug-in that is as it must be, by name: one of somebody else's that is not harms nobody else."""
        return {name: kind for name in self.names() for kind, refusal in [_loaded(self, name)] if not refusal}

    def refused(self) -> list[str]:
        """A line for each plug-in that cannot be used."""
        return [refusal for name in self.names() for _, refusal in [_loaded(self, name)] if refusal]

    def module(self, name: str) -> str:
        """The module that holds the class of this name: its code is part of the keys of what uses it."""
        return self.get(name).__module__

    def required(self) -> list[str]:
        """The members that each must have, because the base gives them no value."""
        return [member.name for member in _members(cast(Any, self.base)) if member.required]


@cache
def ours(package: str) -> tuple[str, ...]:
    """Names of the plug-ins that are files of ours in this package."""
    # Not by pkgutil, to which a folder that cannot be listed, as when memory has run out, is an empty one.
    (folder,) = importlib.import_module(package).__path__
    return tuple(sorted(path.stem for path in Path(folder).glob("*.py") if not path.name.startswith("_")))


@cache
def _installed() -> EntryPoints:
    # Once for all groups: each look goes over every package there is. Until Python 3.12 it is a SelectableGroups.
    return cast(EntryPoints, entry_points())


@cache
def _foreign(group: str) -> dict[str, list[EntryPoint]]:
    points: dict[str, list[EntryPoint]] = {}
    for point in _installed().select(group=group):
        points.setdefault(point.name, []).append(point)
    return points


def forget() -> None:
    """Look again for what other packages bring: one was installed since."""
    for cached in (_installed, _foreign, _loaded):
        cached.cache_clear()


@cache
def _loaded(registry: Registry[Any], name: str) -> tuple[Any, str | None]:
    """The class of a known name, and in one line why it cannot be used."""
    points = [] if name in ours(registry.package) else _foreign(registry.group)[name]
    if len(points) > 1:
        return None, f"{registry.noun} {name!r} is brought by {' and by '.join(map(_origin, points))}: uninstall one"
    point = points[0] if points else None
    origin = _origin(point) if point else f"{registry.package}.{name}"
    try:
        kind = point.load() if point else getattr(importlib.import_module(origin), class_name(name))
    except (Exception, SystemExit) as error:  # whatever code from elsewhere may raise
        if exhausted(error) or point is None:
            raise
        return None, f"{registry.noun} {name!r} cannot be loaded from {origin}: {type(error).__name__}: {error}"
    wrong = mistake(registry, name, kind) if point else None  # ours are held to it by a test, not by every build
    return kind, wrong and f"{registry.noun} {name!r} {wrong}; it comes from {origin}"


def _origin(point: EntryPoint) -> str:
    where = f"entry point {point.group}: {point.value}"
    return f"{point.dist.name} {point.dist.version} ({where})" if point.dist else where


class _Member(NamedTuple):
    """What a base declares: its static attribute (_ABSENT for a bare annotation) and its type as written."""

    name: str
    value: Any
    type: Any
    required: bool

    @property
    def is_method(self) -> bool:
        """Whether it is called."""
        return isinstance(self.value, _METHODS)

    @property
    def shown(self) -> str:
        """As messages show it: the call of a method, or name and type."""
        if self.is_method:
            return f"{self.name}({', '.join(_parameters(self.value))})"
        return f"{self.name}: {_shown(self.type)}"


@cache
def _members(base: type) -> tuple[_Member, ...]:
    """What a base and those that it inherits from declare, less what is private to them."""
    members: dict[str, _Member] = {}
    for kind in reversed(base.__mro__):
        if not _declares(kind):
            continue
        hints = get_type_hints(kind)
        for name in [*vars(kind).get("__annotations__", {}), *vars(kind)]:
            value = vars(kind).get(name, _ABSENT)
            if name.startswith("_") or not (name in hints or isinstance(value, (*_METHODS, property))):
                continue
            required = value is _ABSENT or getattr(value, "__isabstractmethod__", False)
            hint = get_type_hints(value.fget)["return"] if isinstance(value, property) else _plain(hints.get(name))
            members[name] = _Member(name, value, hint, required)
    return tuple(members.values())


def _declares(kind: type) -> bool:
    return kind is not object and kind.__module__ != "typing"


def mistake(registry: Registry[Any], name: str, kind: Any) -> str | None:
    """The first thing about a class that is not as its base declares, or None."""
    base: Any = registry.base
    if not isinstance(kind, type):
        return f"is no class but a {type(kind).__name__}"
    if base not in kind.__mro__:
        return f"does not inherit {base.__module__}.{base.__qualname__}"
    frozen = dataclasses.is_dataclass(kind) and vars(kind)["__dataclass_params__"].frozen
    if registry.options and not frozen:
        return "is no frozen dataclass, whose fields are its options"
    declared = (_wrong(member, kind) for member in _members(base))
    wrong = next(filter(None, declared), None) or _unfinished(kind)
    if wrong is None and registry.named and (stated := getattr(kind, registry.named)) != name:
        wrong = f"says in {registry.named!r} that it is {stated!r}"
    return wrong


def _unfinished(kind: type) -> str | None:
    """What a class leaves open that a base between it and the noun's asks for, or None."""
    if not inspect.isabstract(kind):
        return None
    name = min(name for name in dir(kind) if getattr(getattr(kind, name, None), "__isabstractmethod__", False))
    return f"lacks {name!r}: expected {name}({', '.join(_parameters(inspect.getattr_static(kind, name)))})"


def _wrong(member: _Member, kind: type) -> str | None:
    """What is wrong with a class's own of a member, or None."""
    own = inspect.getattr_static(kind, member.name, _ABSENT)
    if own is member.value:
        return f"lacks {member.name!r}: expected {member.shown}" if member.required else None
    if member.is_method:
        return _wrong_method(member, own)
    if isinstance(own, property) or inspect.ismemberdescriptor(own):  # a value that each object has for itself
        return None
    try:
        _adapter(member.type).validate_python(own, strict=True)
    except ValidationError:
        return f"has {own!r} for {member.name!r}: expected {member.shown}"
    return None


def _wrong_method(member: _Member, own: Any) -> str | None:
    if not isinstance(own, _METHODS):
        return f"has {own!r} for {member.name!r}: expected the method {member.shown}"
    if isinstance(own, FunctionType) and not isinstance(member.value, FunctionType):
        return f"needs an object for {member.name!r}: expected a static or class method {member.shown}"
    taken, expected = _parameters(own), _parameters(member.value)
    more = [*inspect.signature(_function(own)).parameters.values()][_bound(own) + len(expected) :]
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if taken[: len(expected)] != expected or any(one.default is one.empty and one.kind not in optional for one in more):
        return f"takes ({', '.join(taken)}) in {member.name!r}: expected {member.shown}"
    return None


@cache
def _parameters(method: Any) -> tuple[str, ...]:
    """The names of what a method is given beside its object or class."""
    return tuple(inspect.signature(_function(method)).parameters)[_bound(method) :]


def _function(method: Any) -> Any:
    return method if isinstance(method, FunctionType) else method.__func__


def _bound(method: Any) -> int:
    """How many of its parameters are the object or the class."""
    return 0 if isinstance(method, staticmethod) else 1


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _plain(hint: Any) -> Any:
    """The type of a class variable."""
    return get_args(hint)[0] if get_origin(hint) is ClassVar else hint


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
