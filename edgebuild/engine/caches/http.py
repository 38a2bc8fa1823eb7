"""A cache behind HTTP: a web server that takes PUT, such as nginx with DAV, or one made for it, such as bazel-remote.

Credentials are those in the URL, of two variables, or of ~/.netrc; they go to this host and nobody else, since no
redirection is followed.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar
from urllib.parse import quote, unquote, urlsplit

from edgebuild.spec.cache import Cache, CacheError, Pieces
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

USER, PASSWORD, TOKEN = "EDGEBUILD_CACHE_USER", "EDGEBUILD_CACHE_PASSWORD", "EDGEBUILD_CACHE_TOKEN"
_PIECE = 1 << 16
_ABSENT = (404, 410)


class Http(Cache):
    """One connection for each thread that uses it, kept as long as the server keeps it."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    silence: ClassVar[float] = 10.0  # seconds after which nothing more is expected

    def __init__(self, url: str, variables: Mapping[str, str]) -> None:
        """Read the URL and the credentials."""
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            self._host = ""
        if not self._host or parts.query or parts.fragment:
            raise UsageError("is no URL of a cache", key="--cache", hint="such as http://cache.example.com:8080/edge")
        self._secure = parts.scheme == "https"
        self._path = quote(unquote(parts.path.rstrip("/")))
        self._headers = _authorization(self._host, parts.username, parts.password, variables)
        self._own = threading.local()

    def read(self, name: str) -> Pieces | None:
        """GET."""
        answer = self._ask("GET", name)
        if self._absent(answer, "GET"):
            return None
        return self._pieces(answer)

    def size(self, name: str) -> int | None:
        """HEAD."""
        answer = self._ask("HEAD", name)
        if self._absent(answer, "HEAD"):
            return None
        length = answer.getheader("Content-Length", "")
        return int(length) if length.isdecimal() else None

    def write(self, name: str, content: Path | bytes) -> None:
        """PUT, which servers put in place in one step, once they have as many bytes as were announced."""
        if isinstance(content, bytes):
            answer = self._ask("PUT", name, content, len(content))
        else:
            with closing(content.open("rb")) as file:
                answer = self._ask("PUT", name, file, content.stat().st_size)
        with _told():
            answer.read(_PIECE)
        if answer.status >= 300:
            raise self._refusal("PUT", answer)

    def close(self) -> None:
        """Close the thread's connection."""
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()

    def _ask(self, method: str, name: str, body: bytes | BinaryIO | None = None, length: int = 0) -> HTTPResponse:
        """The answer; once more over a new connection where the server has closed the one that was kept."""
        from http.client import HTTPException

        headers = self._headers | ({} if body is None else {"Content-Length": str(length)})
        kept: HTTPConnection | None = getattr(self._own, "connection", None)
        fresh = kept is None or kept.sock is None
        self._own.connection = connection = kept if kept is not None and not fresh else self._connection()
        try:
            connection.request(method, f"{self._path}/{name}", body, headers)
            answer: HTTPResponse = connection.getresponse()
            return answer
        except (OSError, HTTPException) as error:
            connection.close()
            if fresh or isinstance(error, TimeoutError):
                raise CacheError(_words(error)) from None
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        return self._ask(method, name, body, length)

    def _connection(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=self.silence, blocksize=_PIECE)

    def _absent(self, answer: HTTPResponse, method: str) -> bool:
        """Whether nothing is there; CacheError for what is neither found nor absent."""
        if answer.status == 200:
            return False
        with _told():
            answer.read(_PIECE)
        if not answer.isclosed():
            self._own.connection.close()  # the rest of a long error page is not waited for
        if answer.status in _ABSENT:
            return True
        raise self._refusal(method, answer)

    def _pieces(self, answer: HTTPResponse) -> Pieces:
        """The body; a connection of which not all was read is not used again."""
        try:
            while True:
                with _told():
                    piece = answer.read(_PIECE) if answer.length is None else answer.read1(_PIECE)
                if not piece:
                    break
                yield piece
        finally:
            if not answer.isclosed():
                self._own.connection.close()

    def _refusal(self, method: str, answer: HTTPResponse) -> CacheError:
        if not answer.isclosed():
            self._own.connection.close()
        more = "; redirections are not followed: name where it leads to" if 300 <= answer.status < 400 else ""
        reason = f"answers {answer.status} {answer.reason[:60]} to {method}{more}"
        return CacheError(reason, refused=answer.status < 500 and answer.status not in (408, 429))


def _authorization(host: str, user: str | None, password: str | None, variables: Mapping[str, str]) -> dict[str, str]:
    """The header that says who asks; empty where nobody is named."""
    if token := variables.get(TOKEN):
        return {"Authorization": f"Bearer {token}"}
    if user is not None:
        pair = f"{unquote(user)}:{unquote(password or '')}"
    elif USER in variables:
        pair = f"{variables[USER]}:{variables.get(PASSWORD, '')}"
    elif (known := _of_netrc(host)) is not None:
        pair = known
    else:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _of_netrc(host: str) -> str | None:
    """`user:password` for the host in the file that NETRC names, or in ~/.netrc."""
    from netrc import NetrcParseError, netrc

    try:
        known = netrc(os.environ.get("NETRC") or Path.home() / ".netrc").authenticators(host)
    except (OSError, ValueError, RuntimeError, NetrcParseError):
        return None
    return f"{known[0]}:{known[2] or ''}" if known and known[0] else None


@contextmanager
def _told() -> Iterator[None]:
    """CacheError for what goes wrong on the line."""
    from http.client import HTTPException

    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        raise CacheError(_words(error)) from None


def _words(error: Exception) -> str:
    """What went wrong, in words without addresses or headers."""
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    return f"gives no answer in HTTP: {type(error).__name__}"
