"""How a measurement of one file is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.report.table import table
from edgebuild.spec.units import show_count, show_seconds

if TYPE_CHECKING:
    from edgebuild.devices.timing.layers import Layers
    from edgebuild.spec.evidence import Counted
    from edgebuild.verbs.bench import Bench

_SHOWN, _NAME = 10, 48  # layers in the table, and characters of their names; --json has all


def show(bench: Bench) -> None:
    """The time with its range, then what it rests on: counted work, and the operators that take most of it."""
    for notice in bench.notices:
        print(f"note: {notice}")
    spread = f"{show_seconds(bench.low)} to {show_seconds(bench.high)}"
    print(f"{bench.model} on {bench.target}, {bench.threads} thread(s), by {bench.device} ({bench.fidelity}):")
    basis = f" (± {bench.band.error:.0%}: {bench.band.basis})" if bench.band is not None else ""
    print(f"  {show_seconds(bench.seconds)} an inference, {spread}{basis}")
    for fed in bench.fed:
        print(f"  fed {fed.name}: {fed.dtype} {'×'.join(map(str, fed.shape)) or 'scalar'}, {fed.source}")
    if bench.counted is not None:
        _work(bench.counted)
    if bench.layers is None:
        print(f"no time by layer: {bench.layers_reason}")
    else:
        _layers(bench.layers, bench.outside)


def _work(counted: Counted) -> None:
    rows = [("instructions", show_count(counted.instructions)), ("cycles (1 thread)", show_count(counted.cycles))]
    rows += [(f"misses of {name}", show_count(cache.misses)) for name, cache in counted.caches.items()]
    classes = sorted(counted.classes.items(), key=lambda item: -item[1])
    rows += [(f"  {name}", show_count(count)) for name, count in classes if count]
    table(("counted work", "an inference"), rows)


def _layers(layers: Layers, outside: float | None) -> None:
    """The slowest operators, what all others take, and the seconds `outside` of them where work was counted."""
    shown, rest = layers[:_SHOWN], layers[_SHOWN:]
    rows = [
        (
            layer.op,
            _short(layer.name),
            "×".join(map(str, layer.output or [])),
            *_cost(layer.median_us, layer.share),
        )
        for layer in shown
    ]
    if rest:
        cost = _cost(sum(layer.median_us for layer in rest), sum(layer.share for layer in rest))
        rows.append((f"{len(rest)} others", "", "", *cost))
    if outside is not None:
        share = 1 - sum(layer.share for layer in layers)
        rows.append(("outside of operators", "", "", *_cost(outside * 1e6, share)))
    how = "profiled" if outside is None else "predicted"
    table(("slowest layers", "name", "output", f"an inference, {how}", "share"), rows)


def _short(name: str) -> str:
    """The name, or the beginning of one that a converter joined of many."""
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _cost(microseconds: float, share: float) -> tuple[str, str]:
    return show_seconds(microseconds * 1e-6), f"{share:.1%}"
