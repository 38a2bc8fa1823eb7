"""A small pool of files and servers for it on this machine: mirrors as they are, and as they should not be."""

import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgebuild.devices.emulation.pinned import Pinned


def pinned(place: str, content: bytes) -> Pinned:
    return Pinned(place, sha256(content).hexdigest(), len(content))


@dataclass
class Server:
    """What it serves by path; `promised` makes it announce that many bytes and break off; `asked` for what it was."""

    files: dict[str, bytes]
    promised: int | None = None
    address: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def served(files: dict[str, bytes], promised: int | None = None) -> Iterator[Server]:
    server = Server(files, promised)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            content = server.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"") if server.promised is None else promised))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def deb(*members: tuple[str, bytes | str, int], compression: str = "xz") -> bytes:
    """A package of files (name, content, mode), links (name, what it names, 0) and nothing that dpkg would need."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as archive:
        for name, content, mode in members:
            member = tarfile.TarInfo(f"./{name}")
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size, member.mode = len(content), mode
                archive.addfile(member, io.BytesIO(content))
    return b"!<arch>\n" + _member("debian-binary", b"2.0\n") + _member(f"data.tar.{compression}", data.getvalue())


def _member(name: str, content: bytes) -> bytes:
    header = f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)
