"""Reads a space of recipes from TOML and checks it: each step, option, value and condition, before any is drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from edgebuild.spec.artifact import option_fields
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_toml
from edgebuild.spec.names import suggest
from edgebuild.spec.registry import GATES, STEPS, TASKS
from edgebuild.spec.space import COMPARE, Choices, Condition, Domain, Fits, Line, Range, Space, Way, domains
from edgebuild.spec.space_tables import RangeTable, SpaceFile, SpaceLine, WayLine
from edgebuild.spec.technique import Technique

_CONDITION = re.compile(r"(?P<step>[\w-]+)(?:\.(?P<option>[\w.]+)\s*(?P<compare>[<>=!]=|[<>])\s*(?P<value>\S.*))?")
_RANGE = {"from", "to", "step", "log"}
_COMBINATIONS = 256  # of an option's inner values that are tried; beyond, the first ones


def read_space(path: Path, shown: str) -> Space:
    """The space that a file declares; UsageError with file, key and reason when it does not."""
    declared = check(SpaceFile, read_toml(path, shown), file=shown)
    lines: list[Line] = []
    for number, line in enumerate(declared.steps):
        lines.append(_line(line, f"steps[{number}]", lines, shown))
    for task in declared.fits.tasks:
        TASKS.get(task, file=shown, key="fits.tasks")
    space = Space(
        path.stem,
        shown,
        declared.description,
        tuple(lines),
        tuple(_row(row, f"order[{number}]", lines, shown) for number, row in enumerate(declared.order)),
        declared.goals,
        declared.starts,
        declared.sampler,
        Fits(declared.fits.trainable, declared.fits.tasks),
    )
    _check_goals(space)
    _check_starts(space)
    return space


def _line(line: SpaceLine, key: str, earlier: Sequence[Line], shown: str) -> Line:
    ways = [(key, line.use, line.model_extra or {})] if line.use is not None else []
    ways += [(f"{key}.one_of[{n}]", way.use, _extra(way)) for n, way in enumerate(line.one_of)]
    name = line.name or ways[0][1]
    if any(name == before.name for before in earlier):
        hint = "give this one a `name` of its own"
        raise UsageError(f"two steps are called {name!r}", file=shown, key=key, hint=hint)
    own = tuple(_way(where, use, options, shown) for where, use, options in ways)
    conditions = [
        tuple(_condition(each, f"{key}.{what}[{n}]", earlier, shown) for n, each in enumerate(texts))
        for what, texts in (("when", line.when), ("unless", line.unless))
    ]
    return Line(name, own, line.optional, *conditions)


def _extra(way: WayLine) -> dict[str, Any]:
    return way.model_extra or {}


def _way(key: str, use: str, options: Mapping[str, Any], shown: str) -> Way:
    kind = STEPS.get(use, file=shown, key=f"{key}.use")
    known = [field.name for field in option_fields(kind)]
    for name in options:
        if name not in known:
            raise UsageError(f"unknown key {name!r}", file=shown, key=key, hint=suggest(name, known))
    way = Way(use, {name: _value(value, f"{key}.{name}", shown) for name, value in options.items()}, key)
    fixed = {name: value for name, value in options.items() if not [*domains(name, way.options[name])]}
    check(kind, fixed, file=shown, prefix=key)
    for name, value in way.options.items():
        for each in _instances(value):
            _check_alone(kind, name, fixed | {name: each}, key, shown)
    return way


def _check_alone(kind: type[Technique], name: str, options: Mapping[str, Any], key: str, shown: str) -> None:
    """UsageError for a value that the option cannot have; which fit together is known when all are drawn."""
    try:
        check(kind, options, file=shown, prefix=key)
    except UsageError as error:
        if (error.key or "").startswith(f"{key}.{name}"):
            raise


def _value(value: Any, key: str, shown: str) -> Any:
    """What an option may be: a domain, a table with some inside, or the value itself."""
    if not isinstance(value, Mapping):
        return value
    if "choices" in value:
        return _choices(value, key, shown)
    if "from" in value or "to" in value:
        return _range(value, key, shown)
    return {name: _value(each, f"{key}.{name}", shown) for name, each in value.items()}


def _choices(value: Mapping[str, Any], key: str, shown: str) -> Choices:
    choices = value["choices"]
    if [*value] != ["choices"]:
        raise UsageError("has choices, and more beside them", file=shown, key=key, hint="choices stand alone")
    if not isinstance(choices, list) or not choices:
        raise UsageError("must be a list of one value or more", file=shown, key=f"{key}.choices")
    if len({json.dumps(each, sort_keys=True, default=str) for each in choices}) < len(choices):
        raise UsageError("names a value twice", file=shown, key=f"{key}.choices")
    return Choices(tuple(choices))


def _range(value: Mapping[str, Any], key: str, shown: str) -> Range:
    table = check(RangeTable, value, file=shown, prefix=key)
    numbers = [each for each in (table.low, table.high, table.step) if each is not None]
    return Range(table.low, table.high, table.step, table.log, all(isinstance(each, int) for each in numbers))


def _instances(value: Any) -> Iterator[Any]:
    """Values that stand for all that an option may have: every choice, both ends of ranges."""
    names = [name for name, _ in domains("", value)]
    ends = [_ends(domain) for _, domain in domains("", value)]
    for number, each in enumerate(product(*ends)):
        if number < _COMBINATIONS:
            yield _filled(value, dict(zip(names, each, strict=True)), "")


def _ends(domain: Domain) -> Sequence[Any]:
    return domain.values if isinstance(domain, Choices) else (domain.value(domain.low), domain.value(domain.high))


def _filled(value: Any, drawn: Mapping[str, Any], name: str) -> Any:
    if isinstance(value, Choices | Range):
        return drawn[name]
    if isinstance(value, Mapping):
        return {key: _filled(each, drawn, f"{name}.{key}") for key, each in value.items()}
    return value


def _condition(text: str, key: str, earlier: Sequence[Line], shown: str) -> Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        hint = f'a step\'s name, or an option of it as in "prune_channels.ratio >= 0.5" ({" ".join(COMPARE)})'
        raise UsageError(f"{text!r} is no condition", file=shown, key=key, hint=hint)
    known = {line.name: line for line in earlier}
    if match["step"] not in known:
        reason = f"no step {match['step']!r} comes before this one"
        raise UsageError(reason, file=shown, key=key, hint=suggest(match["step"], known))
    if match["option"] is None:
        return Condition(match["step"])
    options = {name for way in known[match["step"]].ways for name in way.options}
    if match["option"] not in options:
        hint = suggest(match["option"], options)
        raise UsageError(f"{match['step']!r} is given no {match['option']!r} here", file=shown, key=key, hint=hint)
    try:
        value = json.loads(match["value"])
    except ValueError:
        value = match["value"].strip()
    return Condition(match["step"], match["option"], match["compare"], value)


def _row(row: tuple[str, ...], key: str, lines: Sequence[Line], shown: str) -> tuple[str, ...]:
    known = [line.name for line in lines]
    for name in row:
        if name not in known:
            raise UsageError(f"there is no step {name!r}", file=shown, key=key, hint=suggest(name, known))
    if len({*row}) < len(row):
        raise UsageError("names a step twice", file=shown, key=key)
    return row


def _check_goals(space: Space) -> None:
    for number, goal in enumerate(space.goals):
        kind = GATES.get(goal.metric, file=space.file, key=f"goals[{number}].metric")
        try:
            kind.limit(goal.limit)
        except ValueError as error:
            raise UsageError(str(error), file=space.file, key=f"goals[{number}].limit") from None


def _check_starts(space: Space) -> None:
    known = space.dimensions()
    for number, start in enumerate(space.starts):
        for name, value in start.items():
            key = f"starts[{number}]"
            if name not in known:
                raise UsageError(f"no dimension {name!r}", file=space.file, key=key, hint=suggest(name, known))
            if not _allows(known[name], value):
                raise UsageError(f"{json.dumps(value)} is no value of {name!r}", file=space.file, key=key)


def _allows(domain: Domain, value: Any) -> bool:
    if isinstance(domain, Choices):
        return value in domain.values
    number = isinstance(value, int | float) and not isinstance(value, bool) and domain.low <= value <= domain.high
    return number and ((values := domain.every()) is None or value in values)
