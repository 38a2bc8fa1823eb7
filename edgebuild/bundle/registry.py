"""A registry of OCI images: puts blobs and manifests there and gets them back, each held to its digest.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md; tokens by
https://distribution.github.io/distribution/spec/auth/token/. Credentials are those of `docker login`, or of two
variables, and are sent to nobody but the registry and what it names for tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from edgebuild.spec.errors import DeviceError, IntegrityError, UsageError

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.error import HTTPError

    Response = HTTPResponse | HTTPError

USER, PASSWORD = "EDGEBUILD_REGISTRY_USER", "EDGEBUILD_REGISTRY_PASSWORD"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_PART = re.compile(r"(\w+)=\"([^\"]*)\"")
_SECONDS = 60.0
_MOST = 4 << 20  # bytes of a manifest: what registries limit them to
# distribution-spec, "Pulling manifests"; a host has a dot or a port, or is localhost.
_NAME = re.compile(
    r"(?P<host>[\w.-]+\.[\w.-]+(:\d+)?|[\w-]+:\d+|localhost)/(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>\w[\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """`host/name:tag` or `host/name@sha256:…` in a registry."""

    host: str
    name: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Place:
        """UsageError for what is no such place; the text is not repeated, since it may hold a password."""
        match = _NAME.fullmatch(text)
        if match is None:
            hint = "such as registry.example.com/models/digits:1.4.0"
            raise UsageError("is no place in a registry", key="REFERENCE", hint=hint)
        return cls(match["host"], match["name"], match["tag"], match["digest"])

    def pinned(self, digest: str) -> str:
        """The same place by digest, which names these bytes and no others."""
        return f"{self.host}/{self.name}@{digest}"


@dataclass(slots=True)
class Registry:
    """One repository of a registry; `plain` speaks HTTP without encryption, as one on this machine does."""

    place: Place
    plain: bool = False
    _authorization: str | None = field(default=None, repr=False)

    def has_blob(self, digest: str) -> bool:
        """Whether the registry has these bytes."""
        return self._ask("HEAD", f"blobs/{digest}", allowed=(404,)).status == 200

    def put_blob(self, content: bytes, digest: str) -> None:
        """Upload these bytes, unless they are there."""
        if self.has_blob(digest):
            return
        where = self._ask("POST", "blobs/uploads/", b"").headers["Location"]
        joint = "&" if "?" in where else "?"
        self._ask("PUT", f"{where}{joint}{urlencode({'digest': digest})}", content)

    def put_manifest(self, content: bytes, kind: str, reference: str) -> bool:
        """Upload a manifest under a tag or its digest; whether the registry lists it with what it refers to."""
        answer = self._ask("PUT", f"manifests/{reference}", content, {"Content-Type": kind})
        return "OCI-Subject" in answer.headers

    def find(self, where: str, kind: str, digest: str | None = None) -> bytes | None:
        """What is at this path of the repository, if anything is; IntegrityError where it has not this digest."""
        with self._ask("GET", where, headers={"Accept": kind}, allowed=(404,)) as answer:
            content = answer.read(_MOST)
            found = answer.status == 200
        if found and digest not in (None, f"sha256:{hashlib.sha256(content).hexdigest()}"):
            raise IntegrityError(f"gives other bytes for {digest}", file=self.place.host)
        return content if found else None

    def manifest(self, kind: str) -> tuple[bytes, str]:
        """The manifest of the place and its digest; IntegrityError where a digest was named and it has another."""
        reference = self.place.digest or self.place.tag or "latest"
        with self._ask("GET", f"manifests/{reference}", headers={"Accept": kind}) as answer:
            content = answer.read(_MOST)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if self.place.digest not in (None, digest):
            raise IntegrityError(f"gives a manifest of digest {digest} for {reference}", file=self.place.host)
        return content, digest

    def blob(self, digest: str, size: int) -> bytes:
        """A blob; IntegrityError where its bytes are not those of the digest."""
        with self._ask("GET", f"blobs/{digest}") as answer:
            content = answer.read(size + 1)
        if len(content) != size or f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise IntegrityError(f"gives other bytes for {digest}", file=self.place.host)
        return content

    def _ask(
        self,
        method: str,
        where: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> Response:
        """What the registry answers; asks once more with credentials where it wants some.

        UsageError for what it refuses, DeviceError where it cannot be reached or is broken.
        """
        plain = self.plain or self.place.host.rpartition(":")[0] in _LOOPBACK or self.place.host in _LOOPBACK
        url = urljoin(f"{'http' if plain else 'https'}://{self.place.host}/v2/{self.place.name}/", where)
        if urlsplit(url).scheme not in ("http", "https"):
            raise DeviceError(f"sends elsewhere, to {urlsplit(url).scheme}:", file=self.place.host)
        answer = self._send(method, url, body, headers or {})
        if answer.status == 401 and (challenge := answer.headers["WWW-Authenticate"]):
            self._authorization = self._answer_to(challenge)
            answer = self._send(method, url, body, headers or {})
        status = answer.status or 0
        if status < 400 or status in allowed:
            return answer
        reason = f"{method} of {urlsplit(url).path} is refused: {status} {answer.reason}"
        if status >= 500:
            raise DeviceError(reason, file=self.place.host)
        hint = f"docker login, or {USER} and {PASSWORD}" if status in (401, 403) else None
        raise UsageError(reason, file=self.place.host, hint=hint)

    def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Response:
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        request = Request(url, body, {"Content-Type": "application/octet-stream"} | headers, method=method)  # noqa: S310
        if self._authorization and urlsplit(url).netloc == self.place.host:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            answer: HTTPResponse = urlopen(request, timeout=_SECONDS)  # noqa: S310 (http or https, as written above)
            return answer
        except HTTPError as error:
            return error
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise DeviceError(f"cannot be reached: {reason}", file=self.place.host) from None

    def _answer_to(self, challenge: str) -> str:
        """The header that a registry asks for: the credentials themselves, or a token that is had for them."""
        basic = _credentials(self.place.host)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return basic or "Basic "
        parameters = dict(_PART.findall(rest))
        query = {name: parameters[name] for name in ("service", "scope") if name in parameters}
        return f"Bearer {self._token(parameters.get('realm', ''), query, basic)}"

    def _token(self, realm: str, query: dict[str, str], basic: str | None) -> str:
        from urllib.error import HTTPError
        from urllib.request import Request, urlopen

        secure = urlsplit(realm).scheme == "https" or urlsplit(realm).hostname in (*_LOOPBACK, "::1")
        if not secure and not (self.plain and urlsplit(realm).scheme == "http"):
            raise UsageError("wants credentials sent unencrypted", file=self.place.host, key="--plain-http")
        request = Request(f"{realm}?{urlencode(query)}")  # noqa: S310 (looked at above)
        if basic:
            request.add_unredirected_header("Authorization", basic)
        try:
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                grant = json.loads(answer.read(1 << 20))
            return str(grant.get("token") or grant["access_token"])
        except HTTPError as error:
            hint = f"docker login, or {USER} and {PASSWORD}"
            raise UsageError(f"gives no token: {error.code} {error.reason}", file=self.place.host, hint=hint) from None
        except (OSError, ValueError, KeyError) as error:
            raise DeviceError(f"gives no token: {error}", file=self.place.host) from None


def _credentials(host: str) -> str | None:
    """The header of a user and password for a registry, from the variables or from what `docker login` has kept."""
    if USER in os.environ:
        pair = f"{os.environ[USER]}:{os.environ.get(PASSWORD, '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        kept = json.loads((folder / "config.json").read_text(encoding="utf-8"))["auths"][host]["auth"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"Basic {kept}"
