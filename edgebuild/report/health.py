"""How a diagnosis is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.report.table import table

if TYPE_CHECKING:
    from edgebuild.verbs.doctor import Finding

_COLOURS = {"ok": "green", "missing": "red", "not needed": "dim"}


def show(findings: list[Finding], targets: list[str]) -> None:
    """A line for each finding; then, in order, what mends those that are needed."""
    table(("what", "state", "found"), [(f.subject, f.state, f.found) for f in findings], colours=_COLOURS)
    missing = [finding for finding in findings if finding.needed and not finding.ok]
    if not missing:
        print(f"\nall that {', '.join(targets)} need is here")
        return
    print("\nto mend it:")
    for mend in dict.fromkeys(finding.mend for finding in missing):
        print(f"  {mend}")
