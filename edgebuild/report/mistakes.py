"""Shows where answers got worse, of metrics that are no mere right and wrong: by class, value and example."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from edgebuild.report.table import table
from edgebuild.spec.evidence import Change, Changes, Part, Scores, Undefined, Values

_MOST = 10  # classes or values that are shown: those that lost most

Row = tuple[str, ...]


def show(scores: Scores, names: tuple[str, str]) -> None:
    """A table of the classes and values that lost most, for each head that has any, and the worst examples."""
    for head, changes in scores.heads.items():
        of_head = f" of {head}" if len(scores.heads) > 1 else ""
        for metric in changes.metrics:
            for what, rows in (("class", _classes(changes, metric)), ("value", _values(changes, metric))):
                if rows:
                    note = f" (the {_MOST} of {len(rows)} that lost most)" if len(rows) > _MOST else ""
                    table((what, *names, ""), [*islice(rows, _MOST)], title=f"{metric}{of_head} by {what}{note}")
        if changes.worst:
            rows = [(str(one.example), f"{one.baseline:.3g}", f"{one.candidate:.3g}", "") for one in changes.worst]
            table(("example", *names, ""), rows, title=f"held-out examples{of_head} whose error grew most")


def _classes(changes: Changes, metric: str) -> list[Row]:
    lost = _drops(changes.classes, metric)
    order = sorted(lost, key=lambda name: lost[name], reverse=True)
    return [_row(name, changes.classes[name], metric) for name in order]


def _drops(classes: Mapping[str, Part], metric: str) -> dict[str, float]:
    values = {name: part.metrics.get(metric) for name, part in classes.items()}
    return {name: each.baseline - each.candidate for name, each in values.items() if isinstance(each, Values)}


def _row(name: str, part: Part, metric: str) -> Row:
    values = part.metrics[metric]
    if isinstance(values, Undefined):
        return name, "", "", values.undefined
    return name, f"{values.baseline:.4g}", f"{values.candidate:.4g}", f"n = {part.n}"


def _values(changes: Changes, metric: str) -> list[Row]:
    each = next(iter(changes.values.get(metric, {}).values()), ())
    known = [(number, change) for number, change in enumerate(each) if isinstance(change, Change)]
    known.sort(key=lambda one: one[1].estimate, reverse=True)
    return [
        (str(number), f"{one.baseline:.4g}", f"{one.candidate:.4g}", f"[{one.low:+.3g}, {one.high:+.3g}]")
        for number, one in known
    ]
