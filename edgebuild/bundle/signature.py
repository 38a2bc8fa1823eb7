"""Signatures of bundles by OpenSSF Model Signing: who stands for a bundle, and as which release of what.

https://github.com/sigstore/model-transparency: an in-toto statement in a DSSE envelope with the digest of every file,
among them the manifest, which has the verdicts. The statement's subject is `<model>-<target>@<release>`. A signature
lies beside its bundle, whose own bytes stay what the build made.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Collection
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from edgebuild.spec.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from model_signing import signing, verifying

SUFFIX, RELEASE = ".sig", "@"
PASSWORD = "EDGEBUILD_KEY_PASSWORD"  # noqa: S105 (the variable's name)
_PIN = re.compile(r"(pin-value|pin-source)=[^&\s'\"]*")
_PKCS11, _CERTIFICATE = "pkcs11:", b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs: a private key (a PEM file or a PKCS#11 URI), perhaps with its certificate and the chain above that.

    Without a key it is the identity that this machine has at Sigstore. `module` is the library of a PKCS#11 token.
    """

    key: str | None
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()
    module: Path | None = None


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who must have signed: a file with a public key or certificate (PEM), or with an `issuer` a Sigstore identity."""

    signer: str
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a signature says: the bundle's name, as which release, and the files that it holds for."""

    name: str
    release: str | None
    files: frozenset[str]


def beside(bundle: Path) -> Path:
    """Where a bundle's signature is, unless somebody says otherwise."""
    place = bundle.resolve()
    return place.with_name(place.name + SUFFIX)


def sign(folder: Path, signer: Signer, out: Path) -> None:
    """Sign every file of `folder`, whose name becomes the subject's, into the file `out`.

    UsageError for a key that cannot be used, with what is wrong with it; nothing is written then.
    """
    _needed()
    from model_signing import hashing, signing

    whole = hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)
    try:
        with redirect_stdout(io.StringIO()):
            _with_key(signing.Config(), signer).set_hashing_config(whole).sign(folder, out)
    except Exception as error:  # of keys of every kind, of hardware, of the network
        reason = _without_pin(f"cannot sign: {_told(error)}")
        raise UsageError(reason, file=_without_pin(signer.key or "Sigstore"), hint=_hint(signer)) from None


def verify(folder: Path, signature: Path, trusted: Trusted, files: Collection[str]) -> Statement:
    """What a signature says, if it is by whom is trusted and `files` of the folder are all signed and as they were.

    IntegrityError for all else, also for no signature; UsageError for a key that is none.
    """
    if not signature.is_file():
        raise IntegrityError("is not signed: there is no such file", file=str(signature))
    config = _verifier(trusted)
    try:
        with redirect_stdout(io.StringIO()):
            config.set_ignore_unsigned_files(True).verify(folder, signature)
        statement = _statement(signature)
    except Exception as error:  # whatever a file that anybody may have written does to its reader
        reason = f"is no signature of {folder} by {trusted.signer}: {_told(error)}"
        raise IntegrityError(reason, file=str(signature)) from None
    if unsigned := sorted({*files} - statement.files):
        raise IntegrityError(f"does not hold for {unsigned[0]}", file=str(signature))
    return statement


def _needed() -> None:
    if find_spec("model_signing") is None or find_spec("OpenSSL") is None:
        reason = "signatures need model-signing and pyopenssl, which are not installed"
        raise UsageError(reason, hint="pip install 'edgebuild[signing]', in an environment without edgebuild[tflite]")


def _with_key(config: signing.Config, signer: Signer) -> signing.Config:
    key, certificate, chain = signer.key, signer.certificate, signer.chain
    if key is None:
        return config.use_sigstore_signer(use_ambient_credentials=True)
    if key.startswith(_PKCS11) and certificate is not None:
        return config.use_pkcs11_certificate_signer(
            pkcs11_uri=_uri(key, signer.module), signing_certificate=certificate, certificate_chain=chain
        )
    if key.startswith(_PKCS11):
        return config.use_pkcs11_signer(pkcs11_uri=_uri(key, signer.module))
    if certificate is not None:
        return config.use_certificate_signer(private_key=key, signing_certificate=certificate, certificate_chain=chain)
    password = os.environ.get(PASSWORD)
    # Annotated as text, but what reads keys takes bytes alone.
    return config.use_elliptic_key_signer(private_key=key, password=password.encode() if password else None)


def _uri(key: str, module: Path | None) -> str:
    """A token's URI (RFC 7512) with its library, and with the PIN that the environment has where it names none."""
    path, _, query = key.partition("?")
    attributes = query.split("&") if query else []
    if module is not None:
        attributes.append(f"module-path={quote(str(module.absolute()))}")
    if (pin := os.environ.get(PASSWORD)) and not _PIN.search(query):
        attributes.append(f"pin-value={quote(pin, safe='')}")
    return f"{path}?{'&'.join(attributes)}" if attributes else path


def _without_pin(text: str) -> str:
    return _PIN.sub(r"\1=…", text)


def _hint(signer: Signer) -> str:
    if signer.key is None:
        return "--key FILE signs with a key of your own"
    if signer.key.startswith(_PKCS11):
        return f"pkcs11:token=NAME;object=NAME and --module LIBRARY; {PASSWORD} has the PIN"
    return f"a private key on the curve P-256, P-384 or P-521, as PEM; {PASSWORD} has its password"


def _verifier(trusted: Trusted) -> verifying.Config:
    """What verifies signatures by whom is trusted; UsageError for a file that says nobody."""
    _needed()
    from model_signing import verifying

    config, file = verifying.Config(), Path(trusted.signer)
    try:
        if trusted.issuer is not None:
            return config.use_sigstore_verifier(identity=trusted.signer, oidc_issuer=trusted.issuer)
        if _CERTIFICATE in file.read_bytes():
            return config.use_certificate_verifier(certificate_chain=[file])
        return config.use_elliptic_key_verifier(public_key=file)
    except Exception as error:  # of a file that may be anything
        hint = "a public key or a certificate as PEM, or an identity with --issuer"
        raise UsageError(f"cannot be trusted: {_told(error)}", file=trusted.signer, hint=hint) from None


def _statement(signature: Path) -> Statement:
    """What a signature that has been verified says."""
    envelope = json.loads(signature.read_text(encoding="utf-8"))["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    name, _, release = statement["subject"][0]["name"].rpartition(RELEASE)
    files = frozenset(resource["name"] for resource in statement["predicate"]["resources"])
    return Statement(name, release, files) if name else Statement(release, None, files)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__  # an InvalidSignature has no words
