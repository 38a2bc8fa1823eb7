"""`edgebuild sign`: sign a released bundle, so that others can tell whose it is."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgebuild.cli._verb import Answer, verb

_file = click.Path(path_type=Path, dir_okay=False)


@verb("sign")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", help="Private key: a PEM file, or a PKCS#11 URI. EDGEBUILD_KEY_PASSWORD has a file's password.")
@click.option("--certificate", type=_file, help="The certificate of that key.")
@click.option("--chain", type=_file, multiple=True, help="A certificate above that; may be repeated.")
@click.option("--module", type=click.Path(path_type=Path), help="The library of a PKCS#11 token.")
@click.option("--sigstore", is_flag=True, help="In the place of a key the identity that this machine has at Sigstore.")
@click.option("--release", help="What this version is called, such as 1.4.0.")
@click.option("--out", type=_file, help="The signature; default: BUNDLE.sig.")
@click.option("--unreleased", is_flag=True, help="Sign a bundle that is only a candidate; its manifest says so.")
def command(
    bundle: Path,
    key: str | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    module: Path | None,
    sigstore: bool,
    release: str | None,
    out: Path | None,
    unreleased: bool,
) -> Answer:
    """Sign a bundle by OpenSSF Model Signing.

    edgebuild makes no key: openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    Example: edgebuild sign dist/rpi4/digits --key key.pem --release 1.4.0
    """
    from edgebuild.bundle.signature import Signer
    from edgebuild.spec.errors import UsageError
    from edgebuild.verbs.sign import Request, sign

    if (key is None) != sigstore:
        raise UsageError("name either a key or --sigstore", key="--key")
    signed = sign(Request(bundle, Signer(key, certificate, chain, module), out, release, unreleased))
    document = {"signature": str(signed.file), "name": signed.name, "status": signed.status}
    return Answer(document, lambda: print(f"{signed.file}: signed as {signed.name}; status: {signed.status}"))
