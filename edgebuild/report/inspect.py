"""Prints what a file is and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgebuild.spec.units import show_bytes
from edgebuild.verbs.inspect import Inspected

_SHOWN = 12  # names of classes


def document(inspected: Inspected) -> dict[str, Any]:
    """The same as plain data."""
    return asdict(inspected)


def show(inspected: Inspected) -> None:
    """A line for each thing that is known."""
    look = inspected.look
    print(f"{inspected.file}: {look.what}, {show_bytes(look.bytes)}, {look.parameters:,} parameters")
    for side, ports in (("input", look.inputs), ("output", look.outputs)):
        for port in ports:
            print(f"{side:<11} {port.shown}")
    if look.operators:
        print(f"operators   {_counted(look.operators)}")
        print(f"computes in {f'integers ({look.integer})' if look.integer else 'floats'}")
    if look.classes:
        print(f"classes     {_few(look.classes)}")
    for line in look.notes:
        print(f"note        {line}")
    if look.beside:
        print(f"weights in  {', '.join(look.beside)}")
    print(f"source      {inspected.source}")
    print(f"formats     {', '.join(inspected.formats)}")
    print(f"techniques  {', '.join(inspected.techniques) or 'none'}")
    for why, steps in _by_reason(inspected.refused).items():
        print(f"not here    {', '.join(steps)}: {why}")
    if inspected.instead:
        print(f"instead     {inspected.instead}")
    print(f"next        edgebuild init {inspected.file} --data FOLDER")


def _counted(operators: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" if count > 1 else name for name, count in operators.items())


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} … ({len(names)})"


def _by_reason(refused: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for step, why in refused.items():
        reasons.setdefault(why, []).append(step)
    return reasons
