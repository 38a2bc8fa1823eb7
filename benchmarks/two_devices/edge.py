"""The edge's side, in a process of its own: `edge.py BUNDLE EXAMPLES RESULT [PART SECONDS]`.

It answers examples [n, …] one after the other and keeps the outputs [n, …] and how long each took (seconds). With
PART that part takes at least SECONDS, as the device at the edge does. Without a BUNDLE (`-`) the examples go to the
server as they are, over the link of the bundle that SERVER_BUNDLE names.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Slow:
    """A part that takes at least so long."""

    def __init__(self, part: Any, seconds: float) -> None:
        self._part, self._seconds = part, seconds

    def answer(self, values: Any) -> Any:
        """What the part answers, not before its time is over."""
        end = time.perf_counter() + self._seconds
        outputs = self._part.answer(values)
        while time.perf_counter() < end:
            pass
        return outputs


def module(path: Path) -> Any:
    """A Python file of a bundle."""
    spec = importlib.util.spec_from_file_location("of_a_bundle", str(path))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def answering(bundle: str, slow: tuple[str, ...]) -> Callable[[Any], Any]:
    """What answers an example, with a batch of one."""
    if bundle == "-":
        run = module(Path(os.environ["SERVER_BUNDLE"]) / "run.py")
        link = run.load(run.HERE / "edge_link.py")
        return lambda row: link.asked(link.remote(), {"bytes": 1 << 20, "seconds": 60.0}, [row])[0][0]
    run = module(Path(bundle) / "run.py")
    if slow:
        opened, (name, seconds) = run.opened, slow
        run.opened = lambda part: Slow(opened(part), float(seconds)) if part == name else opened(part)
    return lambda row: run.answer([row])[0]


def main(bundle: str, examples: str, result: str, *slow: str) -> None:
    """Answer all examples."""
    answer, outputs, times = answering(bundle, slow), [], []
    rows = np.load(examples)
    for row in rows[:3]:  # connects, and opens what is opened once
        answer(row[None])
    for row in rows:
        began = time.perf_counter()
        outputs.append(answer(row[None]))
        times.append(time.perf_counter() - began)
    np.savez(result, outputs=outputs, times=times)


main(*sys.argv[1:])
