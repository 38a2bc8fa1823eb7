"""How a measurement of one file is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.report.table import table
from edgebuild.spec.units import show_count, show_seconds

if TYPE_CHECKING:
    from edgebuild.benching import Bench


def show(found: Bench) -> None:
    """The time with its range, then what it rests on."""
    for notice in found.notices:
        print(f"note: {notice}")
    spread = f"{show_seconds(found.low)} to {show_seconds(found.high)}"
    print(f"{found.model} on {found.target}, {found.threads} thread(s), by {found.device} ({found.fidelity}):")
    print(f"  {show_seconds(found.seconds)} an inference, {spread}")
    if found.counted is None:
        return
    counted = found.counted
    rows = [("instructions", show_count(counted["instructions"])), ("cycles (1 thread)", show_count(counted["cycles"]))]
    rows += [(f"misses of {name}", show_count(cache["misses"])) for name, cache in counted["caches"].items()]
    classes = sorted(counted["classes"].items(), key=lambda item: -item[1])
    rows += [(f"  {name}", show_count(count)) for name, count in classes if count]
    table(("counted work", "an inference"), rows)
