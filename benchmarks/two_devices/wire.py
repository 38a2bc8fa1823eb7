"""A link between two processes: what goes over it is counted, and takes as long as a line of so many bits a second."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Wire(threading.Thread):
    """A port on loopback that hands on to another; `rate` bits a second in each direction, None as fast as it goes."""

    def __init__(self, where: str, rate: float | None = None) -> None:
        super().__init__(daemon=True)
        host, _, port = where.rpartition(":")
        self._to, self._rate, self.bytes = (host, int(port)), rate, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._counting = threading.Lock()

    def run(self) -> None:
        """Hand on every connection, both ways."""
        with contextlib.suppress(OSError):  # closed
            while True:
                edge, server = self._listener.accept()[0], socket.create_connection(self._to)
                for one, other in ((edge, server), (server, edge)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                with self._counting:
                    self.bytes += len(content)
                if self._rate:
                    time.sleep(8 * len(content) / self._rate)
                sink.sendall(content)
            sink.shutdown(socket.SHUT_WR)
