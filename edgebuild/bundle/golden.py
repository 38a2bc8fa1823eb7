"""Golden vectors: a few held-out inputs and what the shipped file answered, by which a bundle tests itself anywhere.

What is packaged of a bundle carries them along, so that each package can prove on its target that it is the model that
was judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.bundle.facts import Golden
from edgebuild.spec import dataset, equality

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

FILE = "golden.npz"
_MOST, _BYTES = 4, 1 << 20  # examples, and of all their inputs together
_LEAST = 1e-6  # a tolerance; an output that hardly varies has a range of nothing


def keep(data: Path, answers: Path, folder: Path, share: float) -> Golden:
    """Write the vectors into a bundle: arrays `input/0`, … and `output/0`, …, examples on axis 0.

    `data` has the held-out examples, `answers` the outputs of the shipped file on all of them, `share` is how far one
    file's answers may lie apart on two processors, as a share of the range of an output over all examples. They are the
    first ones, in order: a file that keeps a state inside answers others only behind all that were before them.
    """
    import numpy as np

    test = dataset.read(data, "test")
    bytes_of_one = sum(values.nbytes for values in test.take(slice(0, 1)).inputs)
    rows = np.arange(min(len(test), max(1, min(_MOST, _BYTES // max(1, bytes_of_one)))))
    inputs = [np.asarray(values[rows]) for values in test.inputs]
    with np.load(answers / "outputs.npz") as stored:
        outputs = [stored[str(position)] for position in range(len(stored.files))]
    named: dict[str, Any] = {f"input/{place}": values for place, values in enumerate(inputs)}
    named |= {f"output/{place}": values[rows] for place, values in enumerate(outputs)}
    np.savez(folder / FILE, **named)
    return Golden(FILE, len(rows), tuple(_tolerance(values, share) for values in outputs))


def read(folder: Path, golden: Golden) -> tuple[list[Array], list[Array]]:
    """The inputs and the outputs of a bundle's golden vectors, each with examples on axis 0."""
    import numpy as np

    with np.load(folder / golden.file, allow_pickle=False) as stored:
        sides = [[stored[f"{side}/{n}"] for n in range(_count(stored.files, side))] for side in ("input", "output")]
    return sides[0], sides[1]


def _count(names: list[str], side: str) -> int:
    return sum(name.startswith(f"{side}/") for name in names)


def _tolerance(values: Array, share: float) -> float:
    """How far an output may be off; what names something is the same."""
    return _LEAST if equality.names(values.dtype) else max(_LEAST, share * _range(values))


def _range(values: Array) -> float:
    return float(values.max()) - float(values.min()) if values.size else 0.0
