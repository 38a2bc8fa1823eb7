"""How the difference of two bundles is shown: tables side by side, and in words what could not be compared."""

from __future__ import annotations

from typing import Any

from edgebuild.report.table import table
from edgebuild.spec.units import show_count, show_seconds

_MOST = 20


def show(found: dict[str, Any]) -> None:
    """One table a part; parts without a difference say so."""
    bundles = found["bundles"]
    table(("", "a", "b"), [(name, str(bundles["a"][name]), str(bundles["b"][name])) for name in bundles["a"]])
    print()
    rows = [(name, *(_count(both[side]) for side in both), _change(both["a"], both["b"])) for name, both in
            found["weights"].items()]  # fmt: skip
    table(("", "a", "b", ""), [*_rates(found["accuracy"]), *rows, *_seconds(found["latency"])])
    for part in ("accuracy", "latency", "operators"):
        if "reason" in found[part]:
            print(f"{part}: {found[part]['reason']}")
    _show_answers(found["accuracy"])
    _show_operators(found["operators"].get("counts", {}))
    print()
    table(
        ("gate", "a", "b"), [(name, *(both[s] or "(none)" for s in "ab")) for name, both in found["verdicts"].items()]
    )
    for part in ("recipe", "tools"):
        print(f"\n{part}: {'the same' if not found[part] else ''}".rstrip())
        for line in found[part]:
            print(f"  {line}")


def _rates(accuracy: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    heads = accuracy.get("heads", {})
    for name, head in heads.items():
        ours, theirs = (head["rates"][side]["accuracy"] for side in "ab")
        change = f"{100 * (theirs - ours):+.2f} pp"
        rows.append((f"accuracy{_of(name, heads)}", f"{ours:.2%}", f"{theirs:.2%}", change))
    return rows


def _of(name: str, heads: dict[str, Any]) -> str:
    """The name of a head is told where there are several."""
    return f" of {name}" if len(heads) > 1 else ""


def _seconds(latency: dict[str, Any]) -> list[tuple[str, ...]]:
    """Times of two machines stand side by side without a ratio."""
    ours, theirs = (latency["seconds"][side]["candidate"] for side in "ab")
    change = "" if "reason" in latency else _change(ours, theirs)
    times = (show_seconds(value) if value is not None else "" for value in (ours, theirs))
    return [("latency", *times, change)]


def _show_answers(accuracy: dict[str, Any]) -> None:
    heads = accuracy.get("heads", {})
    for name, head in heads.items():
        if "reason" in head:
            print(f"accuracy{_of(name, heads)}: {head['reason']}")
        for what in ("lost", "won") if "lost" in head else ():
            examples = head[what]
            listed = ", ".join(map(str, examples[:_MOST])) + (" …" if len(examples) > _MOST else "")
            told = f"{len(examples)} of {head['n']} examples{': ' + listed if examples else ''}"
            print(f"{what} by b{_of(name, heads)}: {told}")


def _show_operators(counts: dict[str, dict[str, int]]) -> None:
    print()
    changed = {name: both for name, both in counts.items() if both["a"] != both["b"]}
    rows = [(name, str(both["a"]), str(both["b"])) for name, both in changed.items()]
    if rows:
        table(("operator", "a", "b"), rows)
    elif counts:
        print(f"operators: the same {sum(both['a'] for both in counts.values())}")


def _count(value: float | None) -> str:
    return "" if value is None else show_count(value)


def _change(ours: float | None, theirs: float | None) -> str:
    return f"{theirs / ours - 1:+.1%}" if ours and theirs is not None else ""
