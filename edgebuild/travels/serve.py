#!/usr/bin/env python3
"""Serves a bundle's model over HTTP on this machine alone: `python serve.py --bundle FOLDER [--before FOLDER]`.

POST /infer     a picture (image/png), arrays (application/x-npy, application/x-npz), or JSON, {"inputs": {NAME:
                lists}}; the answer is JSON, {"outputs": {NAME: lists}, "text": as run.py says it}
GET /health     200 while it serves, with the version, and whether that is the one before
GET /metrics    counts and seconds, as Prometheus reads them

It serves only what it has checked: every digest of the bundle's manifest, then the answers to its golden inputs, in a
process of their own. Where that fails the bundle that was there before is checked and served in its place.
Inputs are limited in size, requests that wait in number: what is too large is answered 413, what is too much 503.

Needs Python 3.9, numpy and the runtime named in the bundle's requirements.txt, nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

SUFFIXES = {"image/png": ".png", "application/x-npy": ".npy", "application/x-npz": ".npz"}
SPARE = 1 << 20  # bytes that a picture or a header may have beyond the values themselves
SELF_TEST_SECONDS = 300
DISCARDED = 1 << 24  # bytes, at most, of what is too large
CLIENT_SECONDS = 10.0  # for a client to send what it said it would


class Refused(Exception):
    """A request that is answered with this status and a line that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def why_not(bundle: Path) -> Optional[str]:
    """One line on what keeps a bundle from being served, or None: its digests, then its own self-test."""
    try:
        wrong = damage(bundle)
    except (OSError, ValueError, KeyError) as error:
        wrong = "cannot be read: %s" % error
    if wrong:
        return wrong
    command = [sys.executable, "-B", str(bundle / "run.py"), "--self-test"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SELF_TEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "its self-test takes more than %d s" % SELF_TEST_SECONDS
    line = (done.stderr.strip() or "its self-test ended with code %d" % done.returncode).splitlines()[-1]
    return line if done.returncode else None


def damage(bundle: Path) -> Optional[str]:
    """The first file of a bundle that is not what its manifest says, or None."""
    sealed = (bundle / "manifest.sha256").read_text(encoding="utf-8")
    if sealed.split() != [digest(bundle / "manifest.json"), "manifest.json"]:
        return "manifest.json is not what manifest.sha256 says"
    files = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["files"]
    present = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if not path.is_dir()}
    for name in sorted(present ^ {*files, "manifest.json", "manifest.sha256"}):
        return "%s is %s" % (name, "not in the manifest" if name in present else "missing")
    for name in sorted(files):
        if digest(bundle / name) != files[name]["sha256"]:
            return "%s is not the file that was built" % name
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Model:
    """A bundle that was checked, its runner loaded; one inference at a time, and so many may wait."""

    def __init__(self, bundle: Path, waiting: int) -> None:
        spec = importlib.util.spec_from_file_location("bundle_run", str(bundle / "run.py"))
        assert spec is not None
        assert spec.loader is not None
        self.run: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.run)
        facts = self.run.manifest()
        self.inputs, self.outputs = facts["inputs"], facts["outputs"]
        self.digest = digest(bundle / "manifest.json")
        values = sum(8 * int(_product(port["shape"])) for port in self.inputs)
        self.most_bytes = 8 * values + SPARE  # a number of JSON takes more room than its 8 bytes
        self._lock, self._places = threading.Lock(), threading.BoundedSemaphore(waiting)
        self.counts: Dict[Tuple[str, int], int] = {}
        self.seconds, self._count_lock = 0.0, threading.Lock()

    def infer(self, kind: str, body: bytes) -> Mapping[str, Any]:
        """The answer to a request's body; Refused for what is no input, or when too many wait already."""
        if not self._places.acquire(blocking=False):
            raise Refused(503, "too many requests wait already")
        try:
            values = self.read(kind, body)
            with self._lock:
                begun = time.perf_counter()
                outputs = self.run.answer(values)
                self.seconds += time.perf_counter() - begun
            named = {port["name"]: output.tolist() for port, output in zip(self.outputs, outputs)}
            return {"outputs": named, "text": self.run.told(outputs, values, 1)}
        finally:
            self._places.release()

    def read(self, kind: str, body: bytes) -> List[Any]:
        """The model's inputs, each with a batch of 1."""
        try:
            return [self.fitted(port, value) for port, value in zip(self.inputs, self.parsed(kind, body))]
        except Refused:
            raise
        except Exception as error:  # archives, pictures and arrays raise classes of their own
            raise Refused(400, "%s: %s" % (type(error).__name__, error)) from None

    def parsed(self, kind: str, body: bytes) -> List[Any]:
        """The inputs as they came, in the model's order."""
        names = [port["name"] for port in self.inputs]
        if kind == "application/json":
            inputs = json.loads(body)["inputs"]
            if set(inputs) != set(names):
                raise Refused(
                    400, "the inputs are %s, not %s" % (", ".join(names), ", ".join(map(str, inputs)) or "none")
                )
            return [inputs[name] for name in names]
        if kind not in SUFFIXES:
            raise Refused(415, "send %s or application/json" % ", ".join(SUFFIXES))
        with tempfile.NamedTemporaryFile(suffix=SUFFIXES[kind]) as file:
            file.write(body)
            file.flush()
            values: List[Any] = self.run.read_values(Path(file.name))
        if len(values) != len(names):
            raise Refused(400, "%d arrays came, and the inputs are %s" % (len(values), ", ".join(names)))
        return values

    @staticmethod
    def fitted(port: Mapping[str, Any], value: Any) -> Any:
        """An input as the model takes it; an example may come without its batch axis."""
        import numpy as np

        array, shape = np.asarray(value), tuple(port["shape"])
        if array.dtype.kind not in "fiub":
            raise Refused(400, "%s is not made of numbers" % port["name"])
        array = array[None] if array.shape == shape[1:] else array
        if array.shape != shape:
            raise Refused(400, "%s is %s, not %s" % (port["name"], list(array.shape), list(shape)))
        return array.astype(port["dtype"])

    def count(self, path: str, status: int) -> None:
        """Remember that a request was answered so."""
        with self._count_lock:
            self.counts[path, status] = self.counts.get((path, status), 0) + 1

    def metrics(self) -> str:
        """Counts and seconds in Prometheus' text format."""
        with self._count_lock:
            rows = sorted(self.counts.items())
        lines = ["# TYPE edgebuild_requests_total counter"]
        lines += ['edgebuild_requests_total{path="%s",status="%d"} %d' % (*key, count) for key, count in rows]
        lines += ["# TYPE edgebuild_inference_seconds_total counter"]
        lines += ["edgebuild_inference_seconds_total %.6f" % self.seconds]
        return "\n".join(lines) + "\n"


class Server(ThreadingHTTPServer):
    """One thread a connection, so many at once; those that were accepted are answered before it ends."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, model: Model, before: bool, connections: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model, self.before, self._open = model, before, threading.BoundedSemaphore(connections)
        self._idle = False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for a free place: more connections stay in the kernel's queue, which is bounded too."""
        self._open.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._open.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.release()

    def drain(self) -> None:
        """Answer also those that the kernel has accepted already, which closing would cut off."""
        self.timeout = 0
        for _ in range(self.request_queue_size):
            self.handle_request()
            if self._idle:
                return

    def handle_timeout(self) -> None:
        """Nobody waits."""
        self._idle = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of ours."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request and closes."""

    server: Server
    server_version, sys_version = "edgebuild", ""
    timeout = CLIENT_SECONDS

    def do_POST(self) -> None:
        """POST /infer."""
        try:
            body = self.body()
            if self.path != "/infer":
                raise Refused(404, "POST /infer, GET /health, GET /metrics")
            kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            self.answer(200, json.dumps(self.server.model.infer(kind, body)))
        except Refused as refusal:
            self.answer(refusal.status, json.dumps({"error": str(refusal)}))
        except Exception as error:
            print("serve.py: %s: %s" % (type(error).__name__, error), file=sys.stderr, flush=True)
            self.answer(500, json.dumps({"error": "the model failed; the service's log has the reason"}))

    def body(self) -> bytes:
        """What the client sends, of which it must say how long it is.

        Some of what is too long is read all the same: a client that is cut off in mid-word never sees the answer.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "say how long the input is: Content-Length")
        if len(length) > 18 or int(length) > self.server.model.most_bytes:
            self.discard(min(int(length[:18]), DISCARDED))
            raise Refused(413, "at most %d bytes are taken" % self.server.model.most_bytes)
        content = self.rfile.read(int(length))
        if len(content) != int(length):
            raise Refused(400, "the input ends before its %s bytes" % length)
        return content

    def discard(self, left: int) -> None:
        """Read so many bytes, and forget them."""
        while left > 0:
            read = len(self.rfile.read(min(left, 1 << 16)))
            left = left - read if read else 0

    def do_GET(self) -> None:
        """GET /health and /metrics."""
        if self.path == "/health":
            health = {"status": "serving", "bundle": self.server.model.digest, "rolled_back": self.server.before}
            self.answer(200, json.dumps(health))
        elif self.path == "/metrics":
            self.answer(200, self.server.model.metrics(), "text/plain; version=0.0.4")
        else:
            self.answer(404, json.dumps({"error": "POST /infer, GET /health, GET /metrics"}))

    def answer(self, status: int, text: str, kind: str = "application/json") -> None:
        """Send a whole answer."""
        known = self.path if self.path in ("/infer", "/health", "/metrics") else "other"
        self.server.model.count(known, status)
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a line a request would fill the journal."""


def _product(shape: List[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def choose(bundle: Path, before: Optional[Path]) -> Tuple[Path, bool]:
    """The bundle to serve, and whether it is the one before; exits where neither can be."""
    wrong = why_not(bundle)
    if wrong is None:
        return bundle, False
    print("serve.py: %s is refused: %s" % (bundle, wrong), file=sys.stderr, flush=True)
    if before is None or not before.is_dir():
        sys.exit("serve.py: there is no version before to serve in its place")
    older = why_not(before)
    if older is not None:
        sys.exit("serve.py: %s, the version before, is refused too: %s" % (before, older))
    print("serve.py: serving the version before, %s" % before, file=sys.stderr, flush=True)
    return before, True


def main() -> None:
    """Check, load, serve until a signal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="the bundle to serve where the other one cannot be")
    parser.add_argument("--port", type=int, default=8471, help="on 127.0.0.1; 0: any that is free")
    parser.add_argument("--waiting", type=int, default=16, help="requests that may wait for the model")
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    bundle, before = choose(arguments.bundle, arguments.before)
    server = Server(arguments.port, Model(bundle, arguments.waiting), before, arguments.connections)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    print("serve.py: serving on http://127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.1)
    server.drain()
    server.server_close()


if __name__ == "__main__":
    main()
