"""How a piece of a sensor's recording becomes a model's input: scaled signals, in data and in a bundle's `run.py`.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild. What preprocess.json says is called `how`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, List, Mapping, Sequence

import numpy as np

Array = Any  # numpy.ndarray of some type
ENDINGS = (".csv", ".tsv")  # of files that a folder is searched for


def read_prepared(path: Path, how: Mapping[str, Any]) -> List[Array]:
    """The model's input for the first window of a .csv or .tsv file, [1, …] float32."""
    return [fit(read_recording(path, how["signals"]), how)[None]]


def read_recording(path: Path, signals: Sequence[str]) -> Array:
    """Samples [n, signals] float32 of a file whose first line names its columns; ValueError where one is missing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        names = next(lines, [])
        missing = [name for name in signals if name not in names]
        if missing:
            raise ValueError("has no column %r" % missing[0])
        places = [names.index(name) for name in signals]
        return np.array([[float(line[place]) for place in places] for line in lines], np.float32).reshape(
            -1, len(places)
        )


def fit(samples: Array, how: Mapping[str, Any]) -> Array:
    """The first how["length"] samples [n, signals] as the model's input of the shape that `how` says, float32."""
    if len(samples) < how["length"]:
        raise ValueError("has %d samples, and a window has %d" % (len(samples), how["length"]))
    return several(np.asarray(samples)[None, : how["length"]], how)[0]


def several(windows: Array, how: Mapping[str, Any]) -> Array:
    """Windows [n, length, signals] as inputs [n, …]: (value - mean) / std of each signal."""
    values = (windows.astype(np.float32) - np.float32(how["mean"])) / np.float32(how["std"])
    ordered = values if how["time_first"] else values.transpose(0, 2, 1)
    return np.ascontiguousarray(ordered.reshape(len(windows), *how["shape"]), np.float32)
