"""How one verdict is shown whole: what was estimated, how surely, by which rule, and on what machine."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from edgebuild.report.table import table
from edgebuild.spec.registry import GATES

if TYPE_CHECKING:
    from edgebuild.verbs.explain import LastVerdict

_STATES = {"current": "up to date", "run": "a build would judge anew", "depends": "a build may judge anew"}


def show(verdicts: list[LastVerdict]) -> None:
    """A table for each verdict."""
    for last in verdicts:
        shipped = " (shipped)" if last.shipped else ""
        title = f"{last.verdict.name} of {last.model} for {last.target}, {last.format}{shipped}"
        table(("", ""), list(_rows(last)), title=title)


def _rows(last: LastVerdict) -> list[tuple[str, str]]:
    verdict, state = last.verdict, _STATES[last.state]
    measured_on = ", ".join(f"{name} {text}" for name, text in last.fingerprint.items())
    return [
        ("verdict", verdict.status),
        ("limit", verdict.limit),
        ("estimate", _value(verdict.estimate, verdict.unit)),
        ("interval", f"{_value(verdict.low, verdict.unit)} to {_value(verdict.high, verdict.unit)}"),
        ("n", str(verdict.n)),
        ("why", verdict.reason),
        *([("next", verdict.next)] if verdict.next else []),
        ("rule", " ".join((inspect.getdoc(GATES.get(verdict.metric)) or "").split())),
        ("fidelity", verdict.fidelity),
        ("measured on", measured_on or "nothing that depends on a machine"),
        ("state", state if last.state == "current" else f"{state}: {last.why}"),
    ]


def _value(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.4g} {unit}"
