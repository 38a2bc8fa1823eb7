"""`edgebuild verify`: check that a bundle is byte for byte what was built."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--released", is_flag=True, help="Refuse a bundle that is only a candidate.")
def command(bundle: Path, released: bool) -> Answer:
    """Check every digest of a bundle.

    Exit 5 when a file was changed, added or lost. Example: edgebuild verify dist/rpi4/digits --released
    """
    from edgebuild.bundle import manifest

    facts = manifest.verify_any(bundle)  # what older ones have to say is the same: digests and a status
    refused = released and facts.status != "released"
    status = facts.status
    document = {"bundle": str(bundle), "status": status, "files": len(facts.files), "refused": refused}

    def show() -> None:
        print(f"{bundle}: {len(facts.files)} files are as built; status: {status}")
        if refused:
            print(f"{bundle}: refused, it is a {status}: not every gate has passed")

    return Answer(document, show, 3 if refused else 0)
