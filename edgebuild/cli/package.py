"""`edgebuild package`: make of a released bundle what a platform deploys."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("package")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--as", "kind", required=True, help="What to make, such as wheel or deb; a wrong name lists all.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the package; default: BUNDLE.KIND.")
@click.option("--release", help="What this version is called, such as 1.4.0; default: 0 and the bundle's digest.")
@click.option("--unreleased", is_flag=True, help="Take a bundle that is only a candidate; the package says so.")
def command(bundle: Path, kind: str, out: Path | None, release: str | None, unreleased: bool) -> Answer:
    """Package a bundle for a platform.

    The same bundle gives the same bytes. Exit 3 for a bundle that is not released.
    Example: edgebuild package dist/rpi4/digits --as wheel
    """
    from edgebuild.report import packaged
    from edgebuild.verbs.package import Request, package

    result = package(Request(bundle, kind, out, release, unreleased))
    return Answer(packaged.document(result), lambda: packaged.show(result))
