"""Mode "outputs": every example through every model.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

if __package__:
    from . import model_values as values
    from . import runner_models as models
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]
    import runner_models as models  # type: ignore[import-not-found,no-redef]

TELL_SECONDS = 0.5  # between two words on how far it is
Array = Any


def outputs(work: models.Work) -> Dict[str, Any]:
    """Every example through every model, or as many as the CPU time allows: one at least."""
    results = {}
    for loaded in work.models:
        started, place = time.process_time(), os.path.join(work.folder, loaded.name)
        limit = started + float(work.job.get("seconds", "inf"))
        with models.reported("inference-failed", loaded.name):
            loops = work.job.get("loops", [])
            feeds = looped(loaded, work.arrays, loops, set(work.job.get("starts", []))) if loops else None
            stacked = collect(loaded, work.arrays, limit, place + ".done", feeds)
        write_npz(place + ".outputs.npz", stacked)
        names = [port.name for port in loaded.model.outputs]
        taken = time.process_time() - started
        results[loaded.name] = {"examples": len(stacked[0]), "outputs": names, "cpu_s": taken}
    return results


class Looped:
    """Raw inputs of one example after another, in order; what the one before has left replaces its states."""

    def __init__(self, loaded: models.Loaded, arrays: List[Array], loops: List[List[int]], starts: Set[int]) -> None:
        self.loaded, self.arrays, self.loops, self.starts = loaded, arrays, loops, starts
        self.last: List[Array] = []

    def __iter__(self) -> Iterator[Tuple[int, List[Array]]]:
        for place, (count, feed) in enumerate(self.loaded.feeds(self.arrays)):
            if place not in self.starts:
                for goes_in, comes_out in self.loops:
                    feed[goes_in] = values.to_raw(self.last[comes_out], self.loaded.model.inputs[goes_in])
            yield count, feed


def looped(loaded: models.Loaded, arrays: List[Array], loops: List[List[int]], starts: Set[int]) -> Looped:
    """Feeds for a model whose states come back; it must take one example at a time."""
    if loaded.batch != 1:
        raise values.RunnerError("bad-model", "a model with states must take one example at a time")
    return Looped(loaded, arrays, loops, starts)


def collect(
    loaded: models.Loaded, arrays: List[Array], limit: float, progress_file: str, feeds: Optional[Looped] = None
) -> List[Array]:
    """Real outputs by position, each (examples, …), until the process has used `limit` seconds of CPU time."""
    import numpy as np

    parts: List[List[Array]] = [[] for _ in loaded.model.outputs]
    done, last_report = 0, time.monotonic()
    for count, feed in loaded.feeds(arrays) if feeds is None else feeds:
        for part, raw, port in zip(parts, loaded.model.run(feed), loaded.model.outputs):
            raw = np.asarray(raw)
            if loaded.whole or raw.ndim == 0 or raw.shape[0] != loaded.batch:
                if loaded.batch != 1:
                    raise values.RunnerError("bad-model", "output %s %s has no batch axis" % (port.name, raw.shape))
                raw = raw[None]
            part.append(values.to_real(raw[:count], port))
        if feeds is not None:
            feeds.last = [part[-1] for part in parts]
        done += count
        if time.monotonic() - last_report > TELL_SECONDS:
            last_report = time.monotonic()
            with open(progress_file + ".part", "w", encoding="utf-8") as file:
                file.write(str(done))
            os.replace(progress_file + ".part", progress_file)
        if time.process_time() >= limit:
            break
    return [np.concatenate(part) for part in parts]


def write_npz(path: str, arrays: List[Array]) -> None:
    """Arrays by position, in one step: a file that is there is whole."""
    import numpy as np

    with open(path + ".part", "wb") as file:
        np.savez(file, **{str(position): array for position, array in enumerate(arrays)})
    os.replace(path + ".part", path)
