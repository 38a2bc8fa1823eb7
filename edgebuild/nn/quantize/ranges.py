"""Learnt ranges travel beside the weights, with the examples by whose values a file's tensors are recognized."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.graph import is_float, trace, walk
from edgebuild.nn.quantize.points import owners

if TYPE_CHECKING:
    import numpy as np
    from torch import fx

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]

FILE = "ranges.json"
_MANY = 64  # values that a multiple of another tensor must have: fewer are alike by chance
Ranges = dict[str, tuple[float, float]]


def save(ranges: Ranges, probe: Sample, folder: Path) -> None:
    """Write {node of the graph: (low, high)}, and the probe [n, …] for each input, into a torch artifact."""
    import numpy as np

    (folder / FILE).write_text(json.dumps(ranges, indent=1, sort_keys=True) + "\n")
    for number, values in enumerate(probe):
        np.save(folder / f"probe.{number}.npy", np.ascontiguousarray(values))


def load(folder: Path) -> Ranges:
    """The ranges in an artifact; none where there is no such file."""
    path = folder / FILE
    return {name: (low, high) for name, (low, high) in json.loads(path.read_text()).items()} if path.is_file() else {}


def probe(folder: Path) -> list[Sample]:
    """The examples that were saved with the ranges, each of batch size one."""
    import numpy as np

    paths = sorted(folder.glob("probe.[0-9]*.npy"), key=lambda path: int(path.name.split(".")[1]))
    arrays = [np.load(path) for path in paths]
    return [tuple(values[k : k + 1] for values in arrays) for k in range(len(arrays[0]))]


def values(model: Checkpoint, examples: list[Sample]) -> dict[str, tuple[str, Array]]:
    """{node: (the node whose range it has, its values over all examples)} of a model's graph."""
    import numpy as np
    import torch

    graph = trace(model.module, model.inputs)
    owned = owners(graph)
    seen: dict[fx.Node, list[Array]] = {node: [] for node in owned if is_float(node)}

    def see(node: fx.Node, value: Any) -> Any:
        if node in seen:
            seen[node].append(value.numpy().ravel())
        return value

    for sample in examples:
        walk(graph, tuple(torch.from_numpy(value) for value in sample), see)
    return {node.name: (owned[node].name, np.concatenate(arrays)) for node, arrays in seen.items()}


def match(
    known: Mapping[str, Array], exported: Mapping[str, Array], tolerance: float = 1e-4
) -> dict[str, tuple[str, float]]:
    """{name in `exported`: (name in `known`, factor)} for tensors of the same values, times the factor, in any order.

    Exporters transpose, reshape and pad with zeros, so sorted values are compared, the fewer filled up with zeros; and
    they merge constants, so where no tensor has the same values one that has a positive multiple of them is taken.
    Two are the same when no value differs by more than `tolerance` of the largest; of several the closest is taken,
    then the first. Tensors of nothing but zeros match none.
    """
    import numpy as np

    candidates = {name: np.sort(values, axis=None) for name, values in known.items()}
    matched = {}
    for name, values in exported.items():
        ordered = np.sort(values, axis=None)
        for factors in (dict.fromkeys(candidates, 1.0), {other: _ratio(ordered, v) for other, v in candidates.items()}):
            distances = {other: _distance(ordered, factors[other] * v) for other, v in candidates.items()}
            nearest = min(distances, key=lambda other: distances[other], default="")
            if nearest and distances[nearest] <= tolerance:
                matched[name] = nearest, factors[nearest]
                break
    return matched


def _ratio(a: Array, b: Array) -> float:
    """By what the largest of sorted values is larger; 1 where there is too little to tell a multiple by."""
    if min(a.size, b.size) < _MANY or not _largest(b):
        return 1.0
    return _largest(a) / _largest(b)


def _largest(values: Array) -> float:
    return max(map(abs, (*values[:1].tolist(), *values[-1:].tolist())), default=0.0)


def _distance(a: Array, b: Array) -> float:
    """The largest difference between sorted values as a share of the largest value; infinite when their ends differ."""
    import numpy as np

    largest = max(_largest(a), _largest(b))
    if not largest or a.size > 2 * b.size or b.size > 2 * a.size:
        return float("inf")
    if a.size != b.size:
        a, b = (np.sort(np.pad(v, (0, max(a.size, b.size) - v.size))) for v in (a, b))
    if abs(a[0] - b[0]) > 1e-2 * largest or abs(a[-1] - b[-1]) > 1e-2 * largest:
        return float("inf")
    return float(np.abs(a - b).max() / largest)
