"""Whose a bundle is: signed as it was built, by the key that is trusted, as a release that is not too old."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgebuild.bundle import manifest, signature
from edgebuild.bundle.signature import Trusted
from edgebuild.cli import pull as pull_verb
from edgebuild.cli import push as push_verb
from edgebuild.cli import sign as sign_verb
from edgebuild.cli import verify as verify_verb
from edgebuild.spec.errors import IntegrityError
from edgebuild.verbs import verify
from tests import tiny
from tests.bundle.test_assemble import assemble
from tests.bundle.test_registry import PROGRAM, Serve, serve

__all__ = ["serve"]  # a fixture

pytest.importorskip("model_signing", reason="no model-signing: pip install '.[signing]'")
pytest.importorskip("OpenSSL", reason="no model-signing: pip install '.[signing]'")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PASSWORD = b"correct horse"
SOFT_TOKEN = Path(os.environ.get("SOFTHSM2_MODULE", "/usr/lib/softhsm/libsofthsm2.so"))


@pytest.fixture(scope="module")
def whole(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released bundle; tests must not change it."""
    return assemble(made, tmp_path_factory.mktemp("signed"), "onnx", answers=True) / "bundle"


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(whole, tmp_path / "bundle")


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def pair(folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A private key of the test's own and its public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(pem(key, password))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key."""
    return pair(tmp_path, "key")


def sign(*arguments: str | Path) -> tuple[int, str]:
    """`edgebuild sign ARGUMENTS`: its exit code and all that it printed."""
    result = CliRunner().invoke(sign_verb.command, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def verified(*arguments: str | Path) -> tuple[int, str]:
    """`edgebuild verify ARGUMENTS`, likewise."""
    result = CliRunner().invoke(verify_verb.command, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


@pytest.fixture
def signed(bundle: Path, keys: tuple[Path, Path]) -> Path:
    """The bundle, signed as release 1.4.0."""
    code, told = sign(bundle, "--key", keys[0], "--release", "1.4.0")
    assert code == 0, told
    return bundle


def test_a_signed_bundle_says_by_whom_and_as_what(signed: Path, keys: tuple[Path, Path]) -> None:
    code, told = verified(signed, "--released", "--signed-by", keys[1], "--at-least", "1.4")
    assert code == 0, told
    assert f"signed by {keys[1]} as tiny-board 1.4.0" in " ".join(told.split())
    assert "a claim" not in told
    said = json.loads(verified(signed, "--signed-by", keys[1], "--json")[1])
    assert said["signed"] == {"by": str(keys[1]), "name": "tiny-board", "release": "1.4.0"}


def test_the_verifier_of_the_standard_takes_it(signed: Path, keys: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed), "--public_key", str(keys[1])]
    done = subprocess.run(
        [*command, "--signature", str(signature.beside(signed))], capture_output=True, text=True, cwd=signed
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_released_without_a_signature_is_a_claim(signed: Path) -> None:
    code, told = verified(signed, "--released")
    assert code == 0
    assert "that is a claim: whose it is was not checked" in told
    assert json.loads(verified(signed, "--json")[1])["signed"] is None


def resealed(bundle: Path) -> None:
    """Digests that are right again, as whoever changed a file would make them."""
    facts = manifest.read_bundle(bundle)
    manifest.seal(bundle, facts)
    manifest.verify(bundle)


def refused(bundle: Path, public: Path, *more: str) -> str:
    code, told = verified(bundle, "--signed-by", public, *more)
    assert code == 5, told
    assert told.count("\n") == 1
    return told


def test_any_byte_that_is_changed_and_sealed_anew_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    rng, trusted = random.Random(0), Trusted(str(keys[1]))
    for path in sorted(signed.rglob("*")):
        if path.is_dir() or path.name in (manifest.MANIFEST, manifest.SEAL) or path.suffix == ".onnx":
            continue
        content = path.read_bytes()
        place = rng.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :])
        before = {name: (signed / name).read_bytes() for name in (manifest.MANIFEST, manifest.SEAL)}
        resealed(signed)
        with pytest.raises(IntegrityError, match="is no signature of"):
            verify.verify(verify.Request(signed, trusted))
        path.write_bytes(content)
        for name, old in before.items():
            (signed / name).write_bytes(old)
    verify.verify(verify.Request(signed, trusted))


def test_a_verdict_that_was_improved_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    facts = manifest.read_bundle(signed)
    better = tuple(replace(verdict, estimate=0.0) for verdict in facts.verdicts)
    manifest.seal(signed, replace(facts, verdicts=better))
    manifest.verify(signed)
    assert "manifest.json" in refused(signed, keys[1])


def test_two_files_that_change_places_are_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    one, other = signed / "labels.json", signed / "requirements.txt"
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    assert verified(signed)[0] == 5
    resealed(signed)
    assert "is no signature of" in refused(signed, keys[1])


def said(file: Path) -> tuple[bytes, bytes]:
    """What a signature's file signs, and with what."""
    envelope = json.loads(file.read_text())["dsseEnvelope"]
    return base64.b64decode(envelope["payload"]), base64.b64decode(envelope["signatures"][0]["sig"])


def test_a_signature_with_a_byte_changed_says_nothing_else(signed: Path, keys: tuple[Path, Path]) -> None:
    rng, file, trusted = random.Random(0), signature.beside(signed), Trusted(str(keys[1]))
    content, before, accepted = file.read_bytes(), said(file), 0
    for _ in range(1000):
        place = rng.randrange(len(content))
        file.write_bytes(content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :])
        try:
            signature.verify(signed, file, trusted, ("manifest.json",))
        except IntegrityError:
            continue
        assert said(file) == before  # the last bits of a base64 text, and names that mean nothing, say the same
        accepted += 1
    assert accepted < 100


def test_another_key_none_and_an_older_release_are_refused(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    assert "is no signature of" in refused(signed, pair(tmp_path, "other")[1])
    assert "release 1.4.0, an older one" in refused(signed, keys[1], "--at-least", "1.10")
    digest = json.loads(verified(signed, "--json")[1])["digest"]
    assert verified(signed, "--digest", digest)[0] == 0
    assert "is another bundle" in refused(signed, keys[1], "--digest", "0" * 64)
    sign(signed, "--key", keys[0])
    assert "does not say which release" in refused(signed, keys[1], "--at-least", "1.0")
    signature.beside(signed).unlink()
    assert "is not signed" in refused(signed, keys[1])


def test_a_signature_for_a_part_of_the_files_is_refused(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (part := tmp_path / "tiny-board").mkdir()
    shutil.copyfile(signed / "labels.json", part / "labels.json")
    signature.sign(part, signature.Signer(str(keys[0])), signature.beside(signed))
    assert "does not hold for README.md" in refused(signed, keys[1])


def test_a_key_with_a_password_is_opened_by_it_and_never_told(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = pair(tmp_path, "locked", PASSWORD)
    code, told = sign(bundle, "--key", private)
    assert (code, told.count("\n")) == (2, 1)
    assert signature.PASSWORD in told
    monkeypatch.setenv(signature.PASSWORD, "wrong password")
    code, told = sign(bundle, "--key", private)
    assert (code, "wrong password" in told) == (2, False)
    assert not signature.beside(bundle).exists()
    monkeypatch.setenv(signature.PASSWORD, PASSWORD.decode())
    assert sign(bundle, "--key", private)[0] == 0
    assert verified(bundle, "--signed-by", public)[0] == 0
    assert PASSWORD not in signature.beside(bundle).read_bytes()


def certificate(folder: Path, name: str, signer: Callable[[x509.CertificateBuilder], x509.Certificate] | None) -> Path:
    """A key `name.pem` and a certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / f"{name}.pem").write_bytes(pem(key))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    use = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    use |= dict.fromkeys(("encipher_only", "decipher_only"), False)
    use |= {"digital_signature": True, "key_cert_sign": signer is None, "crl_sign": signer is None}
    builder = builder.add_extension(x509.KeyUsage(**use), critical=True)
    sealed = signer(builder) if signer else builder.sign(key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(sealed.public_bytes(serialization.Encoding.PEM))
    return folder / f"{name}.crt"


def test_a_certificate_is_trusted_by_the_one_above_it(bundle: Path, tmp_path: Path) -> None:
    root = certificate(tmp_path, "root", None)
    above = serialization.load_pem_private_key((tmp_path / "root.pem").read_bytes(), None)
    assert isinstance(above, ec.EllipticCurvePrivateKey)
    leaf = certificate(tmp_path, "leaf", lambda builder: builder.sign(above, hashes.SHA256()))
    code, told = sign(bundle, "--key", tmp_path / "leaf.pem", "--certificate", leaf, "--chain", root)
    assert code == 0, told
    assert verified(bundle, "--signed-by", root)[0] == 0
    (other := tmp_path / "other").mkdir()
    assert "is no signature of" in refused(bundle, certificate(other, "root", None))
    assert "is no signature of" in refused(bundle, pair(tmp_path, "key")[1])


def test_what_cannot_sign_or_be_trusted_is_told_in_one_line(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rsa.pem").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    (tmp_path / "text.pem").write_text("no key")
    for name in ("absent.pem", "text.pem", "rsa.pem"):
        code, told = sign(bundle, "--key", tmp_path / name)
        assert (code, told.count("\n")) == (2, 1)
        assert name in told
        assert not signature.beside(bundle).exists()
        assert {*bundle.parent.iterdir()} == {bundle, tmp_path / "rsa.pem", tmp_path / "text.pem"}  # and no key is made
    private, public = pair(tmp_path, "key")
    assert sign(bundle)[0] == 2
    assert "lies in the bundle" in sign(bundle, "--key", private, "--out", bundle / "model.sig")[1]
    assert sign(bundle, "--key", private)[0] == 0
    assert verified(bundle, "--signed-by", tmp_path / "text.pem")[0] == 2
    assert verified(bundle, "--at-least", "1.0")[0] == 2
    assert verified(bundle, "--signed-by", public, "--at-least", "one")[0] == 2


def test_a_candidate_is_signed_only_where_somebody_says_so(bundle: Path, keys: tuple[Path, Path]) -> None:
    manifest.seal(bundle, replace(manifest.read_bundle(bundle), status="candidate"))
    code, told = sign(bundle, "--key", keys[0])
    assert (code, told.count("\n")) == (3, 1)
    assert sign(bundle, "--key", keys[0], "--unreleased")[0] == 0
    assert verified(bundle, "--signed-by", keys[1])[0] == 0
    assert verified(bundle, "--signed-by", keys[1], "--released")[0] == 3


def test_a_damaged_bundle_is_not_signed(bundle: Path, keys: tuple[Path, Path]) -> None:
    (bundle / "labels.json").write_text("[]")
    assert sign(bundle, "--key", keys[0])[0] == 5
    assert not signature.beside(bundle).exists()


@pytest.mark.skipif(PROGRAM is None, reason="no docker-registry: apt-get install docker-registry")
def test_whose_a_pulled_bundle_is(signed: Path, keys: tuple[Path, Path], serve: Serve, tmp_path: Path) -> None:
    place, out = f"{serve()}/models/tiny:1.4.0", tmp_path / "pulled"
    for verb, arguments in ((push_verb, (signed, place)), (pull_verb, (place, "--out", out))):
        assert CliRunner().invoke(verb.command, [str(one) for one in arguments]).exit_code == 0
    assert verified(out, "--signed-by", keys[1], "--at-least", "1.4.0")[0] == 0
    assert verified(out, "--signed-by", pair(tmp_path, "other")[1])[0] == 5


def test_the_pin_of_a_token_is_not_repeated(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signature.PASSWORD, "271828")
    for key in ("pkcs11:token=none;object=none?pin-value=314159", "pkcs11:token=none;object=none"):
        code, told = sign(bundle, "--key", key, "--module", tmp_path / "none.so")
        assert (code, told.count("\n")) == (2, 1)
        assert not {"314159", "271828"} & {*told.replace("=", " ").split()}
        assert "314159" not in told


def make_token(folder: Path) -> None:
    """A token `board` with the PIN 271828 and a key `release`, whose public half becomes `token.pub`."""
    import PyKCS11 as tokens

    library = tokens.PyKCS11Lib()
    library.load(str(SOFT_TOKEN))
    slot = library.getSlotList()[0]
    library.initToken(slot, "5678", f"{'board':32}")  # PKCS#11: blanks behind it
    session = library.openSession(slot, tokens.CKF_SERIAL_SESSION | tokens.CKF_RW_SESSION)
    session.login("5678", tokens.CKU_SO)
    session.initPin("271828")
    session.logout()
    session.login("271828")
    prime256v1 = bytes.fromhex("06082a8648ce3d030107")
    common = [(tokens.CKA_TOKEN, True), (tokens.CKA_LABEL, "release"), (tokens.CKA_ID, (1,))]
    public, _ = session.generateKeyPair(
        [*common, (tokens.CKA_CLASS, tokens.CKO_PUBLIC_KEY), (tokens.CKA_ECDSA_PARAMS, prime256v1)],
        [*common, (tokens.CKA_CLASS, tokens.CKO_PRIVATE_KEY), (tokens.CKA_PRIVATE, True), (tokens.CKA_SIGN, True)],
        mecha=tokens.Mechanism(tokens.CKM_EC_KEY_PAIR_GEN, None),
    )
    point = bytes(session.getAttributeValue(public, [tokens.CKA_EC_POINT])[0])[2:]  # behind its type and length
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "token.pub").write_bytes(key.public_bytes(*form))


@pytest.mark.skipif(not SOFT_TOKEN.is_file(), reason="no SoftHSM: apt-get install softhsm2, and pip install pykcs11")
def test_a_token_signs_and_keeps_its_key(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PyKCS11", reason="no pykcs11: pip install 'model-signing[pkcs11]'")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    maker = multiprocessing.get_context("fork").Process(target=make_token, args=(tmp_path,))
    maker.start()  # in a process of its own: the library sees new tokens only when it is opened
    maker.join()
    monkeypatch.setenv(signature.PASSWORD, "271828")
    key = ("--key", "pkcs11:token=board;object=release", "--module", SOFT_TOKEN)
    code, told = sign(bundle, *key, "--release", "1.4.0")
    assert code == 0, told
    assert verified(bundle, "--signed-by", tmp_path / "token.pub", "--at-least", "1.4.0")[0] == 0
    assert verified(bundle, "--signed-by", pair(tmp_path, "other")[1])[0] == 5
