"""How one verdict is shown whole: what was estimated, how surely, by which rule, and on what machine."""

from __future__ import annotations

import inspect
from typing import Any

from edgebuild.report.table import table
from edgebuild.spec.registry import GATES

_STATES = {"current": "up to date", "run": "a build would judge anew", "depends": "a build may judge anew"}


def show(found: list[dict[str, Any]]) -> None:
    """A table for each verdict."""
    for verdict in found:
        shipped = " (shipped)" if verdict["shipped"] else ""
        title = f"{verdict['metric']} of {verdict['model']} for {verdict['target']}, {verdict['format']}{shipped}"
        table(("", ""), list(_rows(verdict)), title=title)


def _rows(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    measured_on = ", ".join(f"{name} {text}" for name, text in verdict["fingerprint"].items())
    state = _STATES[verdict["state"]]
    return [
        ("verdict", verdict["status"]),
        ("limit", verdict["limit"]),
        ("estimate", _value(verdict["estimate"], verdict["unit"])),
        ("interval", f"{_value(verdict['low'], verdict['unit'])} to {_value(verdict['high'], verdict['unit'])}"),
        ("n", str(verdict["n"])),
        ("why", verdict["reason"]),
        *([("next", verdict["next"])] if verdict.get("next") else []),
        ("rule", " ".join((inspect.getdoc(GATES.get(verdict["metric"])) or "").split())),
        ("fidelity", verdict["fidelity"]),
        ("measured on", measured_on or "nothing that depends on a machine"),
        ("state", state if verdict["state"] == "current" else f"{state}: {verdict['why']}"),
    ]


def _value(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.4g} {unit}"
