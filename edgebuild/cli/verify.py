"""`edgebuild verify`: check that a bundle is byte for byte what was built, and by whom it is signed."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, project_option, recipe_option, verb


@verb("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--released", is_flag=True, help="Refuse a bundle that is only a candidate.")
@click.option("--signed-by", help="Who must have signed it: a public key or a certificate (PEM), or an identity.")
@click.option("--issuer", help="Who vouches for that identity at Sigstore, as a URL.")
@click.option("--signature", type=click.Path(path_type=Path, dir_okay=False), help="Default: BUNDLE.sig.")
@click.option("--at-least", help="Refuse what was signed as an older release than this.")
@click.option("--digest", help="The SHA-256 that the bundle's manifest must have.")
@click.option("--rebuild", is_flag=True, help="Make again, from the project, what must come out the same everywhere.")
@recipe_option
@project_option
def command(
    bundle: Path,
    released: bool,
    signed_by: str | None,
    issuer: str | None,
    signature: Path | None,
    at_least: str | None,
    digest: str | None,
    rebuild: bool,
    recipe: str | None,
    project: Path,
) -> Answer:
    """Check every digest of a bundle, and its signature.

    Exit 5 when a file was changed, added or lost, or the signature is not as asked for. Without --signed-by a status
    is a claim that anybody can make. Example: edgebuild verify dist/rpi4/digits --released --signed-by key.pub
    """
    from edgebuild.bundle.signature import Trusted
    from edgebuild.engine.task import Limits
    from edgebuild.spec.errors import UsageError
    from edgebuild.spec.project import open_project
    from edgebuild.verbs.rebuild import rebuild as made_again
    from edgebuild.verbs.verify import Request, verify

    if issuer and not signed_by:
        raise UsageError("whom must the issuer vouch for?", key="--signed-by")
    trusted = Trusted(signed_by, issuer) if signed_by else None
    result = verify(Request(bundle, trusted, signature, at_least, digest))
    again = made_again(bundle, open_project(project), Limits(), recipe) if rebuild else None
    refused, statement = released and result.status != "released", result.statement
    document = {
        "bundle": str(bundle),
        "status": result.status,
        "files": result.files,
        "digest": result.digest,
        "signed": {"by": signed_by, "name": statement.name, "release": statement.release} if statement else None,
        "rebuilt": list(again.steps) if again else None,
        "refused": refused,
    }

    def show() -> None:
        print(f"{bundle}: {result.files} files are as built; status: {result.status}")
        if statement:
            release = f" {statement.release}" if statement.release else ""
            print(f"{bundle}: signed by {signed_by} as {statement.name}{release}")
        elif result.status == "released":
            print(f"{bundle}: that is a claim: whose it is was not checked (--signed-by KEY checks a signature)")
        if again:
            line = f"{len(again.steps)} steps make the same bytes again; of {again.others} others nobody can tell that"
            print(f"{bundle}: {line}")
        if refused:
            print(f"{bundle}: refused, it is a {result.status}: not every gate has passed")

    return Answer(document, show, 3 if refused else 0)
