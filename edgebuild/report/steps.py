"""How the steps of a build are shown: what each would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.report.table import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebuild.engine.resolve import Outlook
    from edgebuild.verbs.journal import Ran

_WORDS = {"current": "up to date", "run": "would run", "depends": "if its inputs change"}


def as_data(item: Outlook, *, parts: bool = False) -> dict[str, Any]:
    """One step as plain data; with `parts`, the named parts of the key it was last used under."""
    known: dict[str, Any] = {"step": item.label, "state": item.state, "reason": item.reason}
    last = item.action
    if parts and last is not None:
        known |= {"last_key": last.key, "last_parts": last.parts, "last_output": last.output.digest}
    return known


def show_plan(foreseen: list[Outlook]) -> None:
    """One line a step, in build order."""
    table(("step", "now", "why"), [(item.label, _WORDS[item.state], item.reason) for item in foreseen])


def show_explanation(foreseen: list[Outlook], last: Sequence[Ran], *, whole: bool) -> None:
    """What would run and why; then what the last build ran and why. `whole` prints all parts of the key."""
    changed = [item for item in foreseen if item.state != "current"]
    for item in changed:
        print(f"{item.label}: {_WORDS[item.state]}: {item.reason}")
    if not changed:
        print("everything is up to date; nothing would run")
    if whole:
        for item in foreseen:
            _show_parts(item)
    elif last:
        print("\nthe last build that ran anything ran:")
        for entry in last:
            print(f"  {entry.step}: {entry.reason}")


def _show_parts(item: Outlook) -> None:
    if item.action is not None:
        print(f"\nkey {item.action.key}")
        for name, text in item.action.parts.items():
            print(f"  {name} = {text}")
