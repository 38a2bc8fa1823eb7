"""The models of a job, opened, with what they are fed.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import time
import zipfile
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

if __package__:
    from . import model_values as values
    from . import runner_loaders as loaders
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]
    import runner_loaders as loaders  # type: ignore[import-not-found,no-redef]

Array = Any  # numpy.ndarray: numpy is imported late, so that its absence can be reported
DISTINCT_FEEDS = 32  # prepared ahead, so that timing sees varied data but memory stays small


class Loaded(NamedTuple):
    """A model with its place in the job and what loading it took."""

    name: str
    model: values.AnyModel
    batch: int
    load_ns: int
    whole: bool = False  # an example is all that the model takes
    fed: Optional[List[Array]] = None  # what it was loaded for

    def feeds(self, arrays: List[Array], limit: Optional[int] = None) -> Iterator[Tuple[int, List[Array]]]:
        """(examples, raw inputs) a batch; a last short batch is filled by repeating its last example."""
        import numpy as np

        if self.whole:
            for one in range(len(arrays[0]))[:limit]:
                feed = [np.asarray(array[one]) for array in arrays]
                yield 1, [values.to_raw(array, port) for array, port in zip(feed, self.model.inputs)]
            return
        starts = range(0, len(arrays[0]), self.batch)
        for start in starts[:limit]:
            rows = np.arange(start, start + self.batch).clip(max=len(arrays[0]) - 1)
            real = min(self.batch, len(arrays[0]) - start)
            yield real, [values.to_raw(array[rows], port) for array, port in zip(arrays, self.model.inputs)]


def read_inputs(path: str) -> List[Array]:
    """Arrays by position, each (examples, …)."""
    np = values.import_first("numpy")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = [archive[str(position)] for position in range(len(archive.files))]
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise values.RunnerError("bad-input", "inputs: %s" % error) from error
    if not arrays or any(array.ndim < 1 for array in arrays) or len({len(array) for array in arrays}) != 1:
        raise values.RunnerError("bad-input", "inputs differ in examples: %s" % [a.shape for a in arrays])
    if len(arrays[0]) == 0:
        raise values.RunnerError("bad-input", "inputs hold no example")
    return arrays


def open_model(folder: str, spec: Dict[str, Any]) -> Tuple[values.AnyModel, int]:
    """One model in its runtime, and the nanoseconds that loading it took."""
    name, path = spec["name"], os.path.join(folder, spec["file"])
    loader = loaders.LOADERS.get(os.path.splitext(path)[1])
    if loader is None or not os.path.isfile(path):
        raise values.RunnerError("bad-model", "%s: %s is not a file of %s" % (name, path, ", ".join(loaders.LOADERS)))
    loader.runtime()  # imported once a process, so not part of the time to load a model
    started = time.perf_counter_ns()
    with reported("bad-model", name):
        model: values.AnyModel = loader(path, spec)
    return model, time.perf_counter_ns() - started


def load(folder: str, spec: Dict[str, Any], arrays: List[Array]) -> Loaded:
    """Load one model, check the inputs against it and fix its open shapes."""
    name = spec["name"]
    model, load_ns = open_model(folder, spec)
    declared = [port.shape[0] for port in model.inputs if port.shape and port.shape[0] > 0]
    whole = all(array.ndim == len(port.shape) + 1 for array, port in zip(arrays, model.inputs))
    batch = 1 if whole else declared[0] if declared else int(spec.get("batch", 1))
    shapes = [array.shape[1:] if whole else (batch, *array.shape[1:]) for array in arrays]
    with reported("bad-input", name):
        values.check(model, shapes)
        model.fit([values.in_file(shape, port.layout) for shape, port in zip(shapes, model.inputs)])
    return Loaded(name, model, batch, load_ns, whole, arrays)


@contextlib.contextmanager
def reported(kind: str, name: str) -> Iterator[None]:
    """Give a runtime's exceptions a kind and the model's name."""
    try:
        yield
    except values.RunnerError as error:
        raise values.RunnerError(error.kind, "%s: %s" % (name, error)) from error
    except Exception as error:  # the runtimes raise classes of their own, found in no common base
        starved = isinstance(error, MemoryError) or re.search(r"bad_?alloc|(?i:allocate.*memory)", str(error))
        raise values.RunnerError("out-of-memory" if starved else kind, "%s: %s" % (name, error)) from error


class Work(NamedTuple):
    """A job with everything loaded."""

    job: Dict[str, Any]
    folder: str
    arrays: List[Array]
    models: List[Loaded]

    def feeds(self, loaded: Loaded) -> List[List[Array]]:
        """The few raw inputs that timing and counting cycle through."""
        return [feed for _, feed in loaded.feeds(loaded.fed or self.arrays, DISTINCT_FEEDS)]


@contextlib.contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection inside what is timed or counted."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
