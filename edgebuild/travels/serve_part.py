#!/usr/bin/env python3
"""Serve the second half of this bundle's split model: `python serve_part.py --port 7433`.

It answers only who has the same key: a file that EDGEBUILD_LINK_KEY_FILE names, or EDGEBUILD_LINK_KEY. On the edge,
`EDGEBUILD_SERVER=host:port python run.py sample.png`, with that key, runs the first half and asks here.

Needs Python 3.9, numpy and the runtime named in requirements.txt, nothing else.
"""

import argparse
import contextlib
import importlib.util
import socketserver
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
IDLE = 60.0  # seconds without a question after which a connection ends
MOST_CONNECTIONS = 16


def bundle():
    """This bundle's run.py as a module."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("bundle_run", str(HERE / "run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server(socketserver.ThreadingTCPServer):
    """Opens the half once; so many connections at a time, one inference at a time."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, where, run, link, key):
        self.link, self.key = link, key
        facts = run.manifest()
        self.most = int(facts["router"]["rule"]["bytes"])
        self.half = run.opened(facts["parts"][1]["name"])
        self.turn, self.places = threading.Lock(), threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(where, Handler)


class Handler(socketserver.BaseRequestHandler):
    """One edge, until it leaves, says nothing for a while, or says what it should not."""

    def handle(self):
        """Answer question after question."""
        server = self.server
        if not server.places.acquire(blocking=False):
            return
        try:
            channel = server.link.Channel(self.request, server.key, server.most, IDLE, serves=True)
            while True:
                self.one(server, channel, channel.receive())
        except server.link.LinkError:
            pass
        finally:
            server.places.release()

    @staticmethod
    def one(server, channel, arrays):
        """Answer one question, or say why there is no answer."""
        try:
            with server.turn:
                outputs = server.half.answer(arrays)
        except Exception as error:  # runtimes raise classes of their own, found in no common base
            channel.fail(" ".join(str(error).split()))
            return
        channel.send(outputs)


def main():
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all")
    parser.add_argument("--port", type=int, default=7433, help="0: any that is free")
    arguments = parser.parse_args()
    run = bundle()
    link = run.load(HERE / "edge_link.py")
    try:
        server = Server((arguments.host, arguments.port), run, link, link.shared_key())
    except (link.LinkError, OSError) as error:
        sys.exit("serve_part.py: %s" % error)
    with server:
        print("serving on %s:%d" % server.server_address[:2], flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
