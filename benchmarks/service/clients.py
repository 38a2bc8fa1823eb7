"""Clients of a served model: they ask for its golden inputs, and hold the answers against the golden outputs."""

from __future__ import annotations

import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from edgebuild.bundle import golden, manifest


@dataclass(slots=True)
class Clients:
    """They ask until `requests` were sent and `done` is set; seconds of each right answer are in `times`."""

    port: int
    bundle: Path
    requests: int
    done: threading.Event = field(default_factory=threading.Event)
    times: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, client: int) -> None:
        """Ask until enough was asked by all and what happens meanwhile has happened."""
        import numpy as np

        facts = manifest.read_bundle(self.bundle)
        vectors, name = facts.golden, facts.outputs[0].name
        assert vectors is not None
        inputs, outputs = golden.read(self.bundle, vectors)
        while self._another():
            example = client % vectors.examples
            stream = io.BytesIO()
            np.save(stream, inputs[0][example : example + 1])
            begun = time.perf_counter()
            answer = self._answer(stream.getvalue())
            if answer is None:
                continue
            values = np.array(json.loads(answer)["outputs"][name])
            if np.abs(values - outputs[0][example]).max() <= vectors.tolerance[0]:
                self.times.append(time.perf_counter() - begun)

    def _another(self) -> bool:
        with self._lock:
            if self.done.is_set() and self.sent >= self.requests:
                return False
            self.sent += 1
            return True

    def _answer(self, body: bytes) -> bytes | None:
        """The whole answer to a request that was accepted, asked again until it is; None where none came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        while True:
            try:
                connection.connect()
                break
            except OSError:  # nobody accepts: it is starting
                time.sleep(0.02)
        try:
            connection.request("POST", "/infer", body, {"Content-Type": "application/x-npy"})
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else None
        except (OSError, HTTPException) as error:
            self.broken.append(str(error))
            return None
        finally:
            connection.close()
