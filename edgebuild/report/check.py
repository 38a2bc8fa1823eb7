"""Prints what a check of a model saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgebuild.verbs.check import Checked


def document(checked: Checked) -> dict[str, Any]:
    """The same as plain data, with the recipe to build with."""
    return asdict(checked) | {"recipe": checked.recipe}


def show(checked: Checked) -> None:
    """A line for each thing that is in order, and the next command."""
    print(f"model       {checked.model}: {checked.file}, comes as {checked.source}")
    print(f"inputs      {'; '.join(checked.inputs)}")
    print(f"outputs     {'; '.join(checked.outputs)}")
    print(f"examples    {', '.join(f'{count} {split}' for split, count in checked.examples.items())}")
    for head, right in checked.right.items():
        share = 100 * right.right / right.count
        print(f"right       {head}: {right.right} of {right.count} validation examples ({share:.1f} %), as it came")
    for note in checked.notes:
        print(f"note        {note}")
    print(f"techniques  {_taking(checked.techniques)}")
    print(f"recipes     {_taking(checked.recipes)}")
    for name, other in checked.onward.items():
        print(f"goes on     {name} to {other}: {checked.recipes[name]}")
    refused = {name: why for name, why in checked.recipes.items() if name not in checked.onward}
    for why, names in _by_reason({**checked.techniques, **refused}).items():
        print(f"not here    {', '.join(names)}: {why}")
    print(f"next        {following(checked)}")


def following(checked: Checked) -> str:
    """The command that builds it."""
    words = f"edgebuild --target {checked.target} --model {checked.model}"
    return words if checked.recipe in (None, checked.unnamed) else f"{words} --recipe {checked.recipe}"


def _taking(reasons: Mapping[str, str]) -> str:
    return ", ".join(name for name, why in reasons.items() if not why) or "none"


def _by_reason(by_name: Mapping[str, str]) -> dict[str, list[str]]:
    """Names by reason, which a technique begins with its own name."""
    reasons: dict[str, list[str]] = {}
    for name, why in by_name.items():
        if why:
            reasons.setdefault(why.removeprefix(f"{name!r} "), []).append(name)
    return reasons
