"""How the difference of two bundles is shown: tables side by side, and in words what could not be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebuild.report.table import table
from edgebuild.spec.units import show_count, show_seconds

if TYPE_CHECKING:
    from edgebuild.bundle.difference import About, Difference, HeadAnswers, RightAnswers, Sides, Times

_MOST = 20


def show(difference: Difference) -> None:
    """One table a part; parts without a difference say so."""
    table(("", "a", "b"), _about(difference.bundles))
    print()
    weights = [
        (name, show_count(both.a), show_count(both.b), _change(both.a, both.b))
        for name, both in difference.weights.items()
    ]
    table(("", "a", "b", ""), [*_rates(difference.accuracy), *weights, _seconds(difference.latency)])
    _reason("accuracy", difference.accuracy.reason)
    _reason("latency", difference.latency.reason)
    _reason("operators", difference.operators.reason)
    _show_answers(difference.accuracy)
    _show_operators(difference.operators.counts or {})
    print()
    table(
        ("gate", "a", "b"),
        [(name, both.a or "(none)", both.b or "(none)") for name, both in difference.verdicts.items()],
    )
    _lines("recipe", difference.recipe)
    _lines("tools", difference.tools)


def _about(bundles: Sides[About]) -> list[tuple[str, str, str]]:
    a, b = bundles.a, bundles.b
    return [
        ("folder", str(a.folder), str(b.folder)),
        ("target", a.target, b.target),
        ("model", a.model, b.model),
        ("format", a.format, b.format),
        ("status", a.status, b.status),
        ("edgebuild", a.edgebuild, b.edgebuild),
    ]


def _reason(part: str, reason: str | None) -> None:
    if reason is not None:
        print(f"{part}: {reason}")


def _lines(part: str, changes: tuple[str, ...]) -> None:
    print(f"\n{part}: {'' if changes else 'the same'}".rstrip())
    for line in changes:
        print(f"  {line}")


def _rates(accuracy: RightAnswers) -> list[tuple[str, ...]]:
    heads = accuracy.heads or {}
    rates = {name: head.rates.each(lambda rate: rate.accuracy) for name, head in heads.items()}
    return [
        (f"accuracy{_of(name, heads)}", f"{both.a:.2%}", f"{both.b:.2%}", f"{100 * (both.b - both.a):+.2f} pp")
        for name, both in rates.items()
    ]


def _of(name: str, heads: Mapping[str, HeadAnswers]) -> str:
    """The name of a head is told where there are several."""
    return f" of {name}" if len(heads) > 1 else ""


def _seconds(latency: Times) -> tuple[str, ...]:
    """Times of two machines stand side by side without a ratio."""
    ours, theirs = latency.seconds.a.candidate, latency.seconds.b.candidate
    times = (show_seconds(value) if value is not None else "" for value in (ours, theirs))
    return ("latency", *times, "" if latency.reason else _change(ours, theirs))


def _show_answers(accuracy: RightAnswers) -> None:
    heads = accuracy.heads or {}
    for name, head in heads.items():
        _reason(f"accuracy{_of(name, heads)}", head.reason)
        for what, examples in (("lost", head.lost), ("won", head.won)):
            if examples is not None:
                print(f"{what} by b{_of(name, heads)}: {_listed(examples, head.n)}")


def _listed(examples: tuple[int, ...], n: int) -> str:
    """How many of n examples, and which are the first."""
    numbers = ", ".join(map(str, examples[:_MOST])) + (" …" if len(examples) > _MOST else "")
    return f"{len(examples)} of {n} examples{': ' + numbers if examples else ''}"


def _show_operators(counts: Mapping[str, Sides[int]]) -> None:
    print()
    rows = [(name, str(both.a), str(both.b)) for name, both in counts.items() if not both.same]
    if rows:
        table(("operator", "a", "b"), rows)
    elif counts:
        print(f"operators: the same {sum(both.a for both in counts.values())}")


def _change(ours: float | None, theirs: float | None) -> str:
    return f"{theirs / ours - 1:+.1%}" if ours and theirs is not None else ""
