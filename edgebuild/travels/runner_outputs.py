"""Mode "outputs": every example through every model.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List

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
            stacked = collect(loaded, work.arrays, limit, place + ".done")
        write_npz(place + ".outputs.npz", stacked)
        names = [port.name for port in loaded.model.outputs]
        taken = time.process_time() - started
        results[loaded.name] = {"examples": len(stacked[0]), "outputs": names, "cpu_s": taken}
    return results


def collect(loaded: models.Loaded, arrays: List[Array], limit: float, told: str) -> List[Array]:
    """Real outputs by position, each (examples, …), until the process has used `limit` seconds of CPU time."""
    import numpy as np

    parts: List[List[Array]] = [[] for _ in loaded.model.outputs]
    done, said = 0, time.monotonic()
    for count, feed in loaded.feeds(arrays):
        for part, raw, port in zip(parts, loaded.model.run(feed), loaded.model.outputs):
            raw = np.asarray(raw)
            if loaded.whole or raw.ndim == 0 or raw.shape[0] != loaded.batch:
                if loaded.batch != 1:
                    raise values.RunnerError("bad-model", "output %s %s has no batch axis" % (port.name, raw.shape))
                raw = raw[None]
            part.append(values.to_real(raw[:count], port))
        done += count
        if time.monotonic() - said > TELL_SECONDS:
            said = time.monotonic()
            with open(told + ".part", "w", encoding="utf-8") as file:
                file.write(str(done))
            os.replace(told + ".part", told)
        if time.process_time() >= limit:
            break
    return [np.concatenate(part) for part in parts]


def write_npz(path: str, arrays: List[Array]) -> None:
    """Arrays by position, in one step: a file that is there is whole."""
    import numpy as np

    with open(path + ".part", "wb") as file:
        np.savez(file, **{str(position): array for position, array in enumerate(arrays)})
    os.replace(path + ".part", path)
