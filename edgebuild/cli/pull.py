"""`edgebuild pull`: get a bundle from a registry of OCI images, every byte checked."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("pull")
@click.argument("reference")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the bundle.")
@click.option("--plain-http", is_flag=True, help="Without encryption, as registries on this machine are asked anyway.")
def command(reference: str, out: Path, plain_http: bool) -> Answer:
    """Pull a bundle from a registry. A digest (NAME@sha256:…) names one bundle, a tag whatever it is moved to.

    Example: edgebuild pull registry.example.com/models/digits:1.4.0 --out digits
    """
    from edgebuild.report import moved
    from edgebuild.verbs.push import pull

    result = pull(reference, out, plain=plain_http)
    return Answer(moved.document(result), lambda: moved.show("pulled", result))
