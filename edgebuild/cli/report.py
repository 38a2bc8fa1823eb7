"""`edgebuild report`: the table of a bundle that was built."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("report")
@click.argument("bundle", type=click.Path(path_type=Path))
def command(bundle: Path) -> Answer:
    """Show the measurements and verdicts of a bundle, after checking its digests.

    Example: edgebuild report dist/rpi4/digits
    """
    from edgebuild.bundle import manifest
    from edgebuild.report import summary
    from edgebuild.spec import documents

    facts = manifest.verify_bundle(bundle)
    return Answer(documents.to_json(facts), lambda: summary.show_bundle(facts))
