"""A cache server of the standard library, as `nginx` with DAV is one, which a test can have misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What lies in the cache by path, what was asked, and what a test has it do: `before` may answer in its place."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    before: Callable[[Handler], bool] = lambda handler: False
    stop: Callable[[], None] = lambda: None

    def under(self, folder: str) -> dict[str, bytes]:
        """Files whose path begins so, such as "ac"."""
        return {path: data for path, data in self.files.items() if path.split("/")[-2] == folder}

    def did(self, method: str) -> list[str]:
        """The paths that were asked for by this method."""
        return [path for said, path in self.asked if said == method]


class Handler(BaseHTTPRequestHandler):
    """GET, HEAD and PUT of whole files."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        self._answer(self._find)

    def do_HEAD(self) -> None:
        self._answer(self._find)

    def do_PUT(self) -> None:
        self._answer(self._keep)

    def _answer(self, act: Callable[[], None]) -> None:
        self.served.asked.append((self.command, self.path))
        self.served.authorizations.add(self.headers["Authorization"])
        if not self.served.before(self):
            act()

    def _find(self) -> None:
        data = self.served.files.get(self.path)
        self.say(404 if data is None else 200, b"no such file" if data is None else data)

    def _keep(self) -> None:
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length)
        if len(data) == length:  # a server that keeps half of a file is another one
            self.served.files[self.path] = data
            self.say(201, b"")

    def say(self, status: int, body: bytes, **headers: str) -> None:
        """Answer, and go on with the next request."""
        if self.command == "PUT":
            self.close_connection = self.close_connection or not status < 300
        self.send_response(status)
        usual = {"Content-Length": str(len(body)), "ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in (usual | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *words: object) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def serving(prefix: str = "") -> Iterator[Served]:
    """A server on a free port of this machine."""
    served = Served()
    server = _Server(("127.0.0.1", 0), type("Own", (Handler,), {"served": served}))
    served.url = f"http://127.0.0.1:{server.server_port}{prefix}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    served.stop = stop
    try:
        yield served
    finally:
        stop()
        thread.join()


def slowly(data: bytes, seconds: float) -> Callable[[Handler], bool]:
    """Answers every GET with a byte now and then."""

    def drip(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        for byte in data:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(seconds)
        return True

    return drip
