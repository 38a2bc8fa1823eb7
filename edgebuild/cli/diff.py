"""`edgebuild diff`: how two bundles differ."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("diff")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def command(first: Path, second: Path) -> Answer:
    """Compare two bundles: sizes, operators, answers, time, verdicts, recipe, and versions of tools.

    Both are checked first; exit 5 when one is damaged. Example: edgebuild diff dist/rpi4/digits old/digits
    """
    from edgebuild.bundle import comparison
    from edgebuild.report import diff
    from edgebuild.spec import documents

    difference = comparison.compare(first, second)
    return Answer(documents.to_json(difference), lambda: diff.show(difference))
