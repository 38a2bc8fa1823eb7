"""`edgebuild push`: put a released bundle into a registry of OCI images."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("push")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("reference")
@click.option("--release", help="What this version is called, such as 1.4.0.")
@click.option("--unreleased", is_flag=True, help="Push a bundle that is only a candidate; its package says so.")
@click.option("--plain-http", is_flag=True, help="Without encryption, as registries on this machine are asked anyway.")
def command(bundle: Path, reference: str, release: str | None, unreleased: bool, plain_http: bool) -> Answer:
    """Push a bundle into a registry, as `package --as oci` makes it; says the digest by which to pull it.

    Credentials are those of docker login, or EDGEBUILD_REGISTRY_USER and EDGEBUILD_REGISTRY_PASSWORD.
    Example: edgebuild push dist/rpi4/digits registry.example.com/models/digits:1.4.0
    """
    from edgebuild.report import moved
    from edgebuild.verbs.push import push

    result = push(bundle, reference, release, unreleased=unreleased, plain=plain_http)
    return Answer(moved.document(result), lambda: moved.show("pushed", result))
