"""A bundle goes through a real registry and comes back the same: open, with a password, and with tokens."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from edgebuild.bundle import manifest, registry
from edgebuild.cli import pull as pull_verb
from edgebuild.cli import push as push_verb
from edgebuild.spec import sha256
from tests import tiny
from tests.bundle.test_assemble import assemble

PROGRAM = shutil.which("docker-registry")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no docker-registry: apt-get install docker-registry")

USER, PASSWORD = "releaser", "s3cret-pass"
HASHED = "$2b$04$FY2Mtay8WGGIUGLwDuLSF.qRer2SFfzwE2Ffsl3u.NyW/aHLtU8JS"  # of that password, by bcrypt


@pytest.fixture(scope="module")
def bundle(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released bundle; tests must not change it."""
    return assemble(made, tmp_path_factory.mktemp("pushed"), "onnx", answers=True) / "bundle"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a registry that keeps what it has in `tmp_path/registry`; its host and port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(auth: str = "") -> str:
        host = f"127.0.0.1:{free_port()}"
        text = f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        (tmp_path / "registry.yml").write_text(f"{text}http: {{addr: {host}}}\n{auth}")
        log = (tmp_path / "registry.log").open("wb")
        started.append(subprocess.Popen([str(PROGRAM), "serve", tmp_path / "registry.yml"], stdout=log, stderr=log))
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(host.partition(":")[2]))) == 0:
                    return host
            time.sleep(0.1)
        raise AssertionError((tmp_path / "registry.log").read_text())

    yield start
    for process in started:
        process.kill()
        process.wait()


def run(verb: Any, *arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(verb.command, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def through(bundle: Path, host: str, out: Path) -> str:
    """Push and pull it; the reference by digest."""
    code, told = run(push_verb, bundle, f"{host}/models/tiny:1.4.0", "--release", "1.4.0", "--json")
    assert code == 0, told
    reference: str = json.loads(told)["reference"]
    for place, name in ((reference, "by digest"), (f"{host}/models/tiny:1.4.0", "by tag")):
        code, told = run(pull_verb, place, "--out", out / name, "--json")
        assert (code, json.loads(told)["reference"]) == (0, reference), told
        assert contents(out / name) == contents(bundle)
    return reference


def test_what_is_pulled_is_the_bundle_that_was_pushed(bundle: Path, serve: Serve, tmp_path: Path) -> None:
    host = serve()
    reference = through(bundle, host, tmp_path)
    assert through(bundle, host, tmp_path) == reference  # the same again, in the place of what was pulled before
    assert run(pull_verb, reference, "--out", tmp_path / "by tag")[1].splitlines()[-1] == reference
    blobs = tmp_path / "registry" / "docker" / "registry" / "v2" / "blobs" / "sha256"
    digest = manifest.read_bundle(bundle).files["README.md"].sha256
    blob = blobs / digest[:2] / digest / "data"
    blob.write_bytes(blob.read_bytes().replace(b"e", b"3", 1))
    code, told = run(pull_verb, reference, "--out", tmp_path / "by digest")
    assert (code, told.count("\n")) == (5, 1)
    assert "gives other bytes for sha256:" in told
    assert contents(tmp_path / "by digest") == contents(bundle)  # what is there stays
    assert run(pull_verb, f"{host}/models/tiny@sha256:{'0' * 64}", "--out", tmp_path / "none")[0] == 2
    assert not (tmp_path / "none").exists()


def statement(bundle: Path) -> bytes:
    """What a signature of a bundle looks like to who does not ask whose it is."""
    resources = [{"name": path.name, "digest": sha256.of_file(path)} for path in bundle.iterdir() if path.is_file()]
    payload = base64.b64encode(json.dumps({"predicate": {"resources": resources}}).encode()).decode()
    return json.dumps({"dsseEnvelope": {"payload": payload}}).encode()


def test_a_signature_goes_along_and_the_bundle_keeps_its_digest(bundle: Path, serve: Serve, tmp_path: Path) -> None:
    host, mine = serve(), shutil.copytree(bundle, tmp_path / "mine")
    unsigned = through(mine, host, tmp_path)
    assert not (tmp_path / "by tag.sig").exists()
    (tmp_path / "mine.sig").write_bytes(statement(mine))
    assert through(mine, host, tmp_path) == unsigned
    assert through(mine, host, tmp_path) == unsigned  # nothing is listed twice
    for name in ("by tag.sig", "by digest.sig"):
        assert (tmp_path / name).read_bytes() == statement(mine)
    again = statement(mine).replace(b"{", b"{ ", 1)
    (tmp_path / "mine.sig").write_bytes(again)
    through(mine, host, tmp_path)
    assert (tmp_path / "by tag.sig").read_bytes() == again  # the one that was pushed last
    repository = registry.Registry(registry.Place.parse(unsigned))
    listed = repository.find(f"manifests/sha256-{unsigned[-64:]}", "application/vnd.oci.image.index.v1+json")
    assert len(json.loads(listed or b"{}")["manifests"]) == 2


def test_a_signature_of_another_bundle_is_not_pushed(bundle: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(bundle, tmp_path / "mine")
    (mine / "labels.json").write_text('["never", "these"]')
    manifest.seal(mine, manifest.read_bundle(mine))
    for content in (statement(bundle), b"{}", b"no JSON", b'{"dsseEnvelope": {"payload": 5}}'):
        (tmp_path / "mine.sig").write_bytes(content)
        code, told = run(push_verb, mine, "127.0.0.1:1/models/tiny:1")
        assert (code, told.count("\n")) == (2, 1)
        assert f"is no signature of {mine} as it is now" in told


def test_a_tag_that_was_moved_is_seen_by_its_digest(bundle: Path, serve: Serve, tmp_path: Path) -> None:
    host = serve()
    reference = through(bundle, host, tmp_path)
    other = shutil.copytree(bundle, tmp_path / "other")
    (other / "labels.json").write_text('["never", "these"]')
    manifest.seal(other, manifest.read_bundle(other))
    code, told = run(push_verb, other, f"{host}/models/tiny:1.4.0", "--json")
    assert code == 0, told
    assert json.loads(told)["reference"] != reference
    assert run(pull_verb, reference, "--out", tmp_path / "pinned")[0] == 0
    assert contents(tmp_path / "pinned") == contents(bundle)


def test_a_registry_with_a_password_wants_the_right_one(
    bundle: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "htpasswd").write_text(f"{USER}:{HASHED}\n")
    host = serve(f"auth: {{htpasswd: {{realm: here, path: {tmp_path}/htpasswd}}}}\n")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    code, told = run(push_verb, bundle, f"{host}/models/tiny:1")
    assert (code, told.count("\n")) == (2, 1)
    assert registry.PASSWORD in told
    monkeypatch.setenv(registry.USER, USER)
    monkeypatch.setenv(registry.PASSWORD, "wrong")
    code, told = run(push_verb, bundle, f"{host}/models/tiny:1")
    assert (code, "wrong" in told) == (2, False)
    monkeypatch.setenv(registry.PASSWORD, PASSWORD)
    through(bundle, host, tmp_path)
    monkeypatch.delenv(registry.USER)
    kept = {"auths": {host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(kept))  # as `docker login` leaves it
    through(bundle, host, tmp_path)
    secrets = (PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode()))
    everything = [path for name in ("registry", "by tag", "by digest") for path in (tmp_path / name).rglob("*")]
    assert [path for path in everything if path.is_file() and any(s in path.read_bytes() for s in secrets)] == []


def test_a_registry_with_tokens_is_given_one(
    bundle: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tokens(tmp_path) as realm:
        host = serve(
            f"auth: {{token: {{realm: '{realm}', service: here, issuer: us, rootcertbundle: {tmp_path}/root.crt}}}}\n"
        )
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        assert run(push_verb, bundle, f"{host}/models/tiny:1")[0] == 2
        monkeypatch.setenv(registry.USER, USER)
        monkeypatch.setenv(registry.PASSWORD, PASSWORD)
        through(bundle, host, tmp_path)


@pytest.mark.parametrize(
    "place",
    ["tiny", "tiny:1", "models/tiny:1", "https://x.invalid/tiny:1", "me:hunter2@x.invalid/tiny:1", "x.invalid/Tiny:1"],
)
def test_what_is_no_place_is_refused_and_not_repeated(bundle: Path, tmp_path: Path, place: str) -> None:
    for code, told in (run(push_verb, bundle, place), run(pull_verb, place, "--out", tmp_path / "out")):
        assert (code, told.count("\n")) == (2, 1)
        assert "is no place in a registry" in told
        assert "hunter2" not in told


def test_one_that_is_not_there_is_an_error_of_the_network(bundle: Path, tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    for code, told in (
        run(push_verb, bundle, f"{host}/tiny:1"),
        run(pull_verb, f"{host}/tiny:1", "--out", tmp_path / "out"),
    ):
        assert (code, told.count("\n")) == (4, 1)
        assert "cannot be reached" in told


class tokens:
    """A server of tokens for that user, which a registry believes by its certificate; gives its address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> str:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        (self.folder / "root.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

        def encoded(value: bytes | dict[str, Any]) -> bytes:
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            return base64.urlsafe_b64encode(raw).rstrip(b"=")

        def token(scope: str) -> str:
            kind, repository, actions = scope.split(":")
            access = [{"type": kind, "name": repository, "actions": actions.split(",")}]
            begin = int(time.time())
            claims = {"iss": "us", "sub": USER, "aud": "here", "access": access, "jti": "1"}
            claims |= {"iat": begin, "nbf": begin - 60, "exp": begin + 60}
            signed = encoded({"typ": "JWT", "alg": "ES256", "x5c": chain}) + b"." + encoded(claims)
            r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
            return (signed + b"." + encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()

        expected = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers["Authorization"] == expected
                self.send_response(200 if known else 401)
                self.end_headers()
                if known:
                    (scope,) = parse_qs(urlsplit(self.path).query)["scope"]
                    self.wfile.write(json.dumps({"token": token(scope)}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/token"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
