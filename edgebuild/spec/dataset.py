"""A data set as an artifact: plain .npy files, memory-mapped when read, so that a device's runner can read them too.

`<split>.<position>.npy` holds the examples of the model's input at that position, `<split>.labels.npy` what they
should be answered with (`<split>.labels.<head>.npy` where there are several heads), `test.slices.npy` which held-out
examples belong to which slice, `data.json` the rest.

Three splits, and each has one use: `train` is learnt from, `validation` is what every choice is made on (ratios, layers
to keep in float, steps to leave out), and `test` belongs to the judge, who would be biased had anybody chosen by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.spec import documents
from edgebuild.spec.signature import ANSWER, Head

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
    Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]  # [N], of examples

# Set aside of `train` where the data brings no validation split: a tenth, and no more than decide any choice here.
_SHARE, _MOST = 0.1, 5000
Held = Literal["test", "validation"]  # the splits that nothing is learnt from
DESCRIPTION, _SLICES = "data.json", "test.slices.npy"
_ONLY = Head(ANSWER, "classification")


@dataclass(frozen=True, slots=True)
class Split:
    """Examples of one split: `inputs[k]` is [N, …] for the model's input k, `labels[k]` for its head k.

    Labels are what the head's task says: [N] int64 with the number of each example's class, or [N, …] float32 with its
    target values.
    """

    inputs: tuple[Array, ...]
    labels: tuple[Array, ...]

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.inputs[0])

    def take(self, rows: Array) -> Split:
        """The examples in these rows, copied into memory."""
        return Split(tuple(x[rows] for x in self.inputs), tuple(y[rows] for y in self.labels))


def write(folder: Path, name: str, split: Split, heads: Sequence[Head] = ()) -> None:
    """Write one split; `folder` must exist. `heads` are those of the labels, needless where there is one."""
    write_inputs(folder, name, split.inputs)
    write_labels(folder, name, split.labels, heads or [_ONLY])


def write_inputs(folder: Path, name: str, inputs: tuple[Array, ...]) -> None:
    """Write the inputs of a split that has no labels."""
    for position, values in enumerate(inputs):
        _write(folder / f"{name}.{position}.npy", values)


def room(folder: Path, name: str, position: int, shape: tuple[int, ...], dtype: str) -> Array:
    """An array on disk, to be filled, for the examples [N, …] of a split's input; N above 0."""
    import numpy as np

    values: Array = np.lib.format.open_memmap(folder / f"{name}.{position}.npy", "w+", np.dtype(dtype), shape)
    return values


def write_labels(folder: Path, name: str, labels: Sequence[Array], heads: Sequence[Head]) -> None:
    """Write what a split's examples should be answered with, for each head."""
    for file, values in zip(_label_files(name, heads), labels, strict=True):
        _write(folder / file, values)


def describe(
    folder: Path, heads: Sequence[Head], examples: Mapping[str, int], slices: Mapping[str, Array], *, cut: bool = False
) -> None:
    """Write what is not in the splits: whose labels they have, the number of examples of each, [N] bool masks of `test`
    by name, and whether the validation split was cut from the training examples.

    The names of classes are left out: nothing that is learnt depends on them.
    """
    import numpy as np

    unnamed = [documents.to_json(head) for head in heads]
    for head in unnamed:
        del head["labels"]
    found: dict[str, object] = {"examples": dict(examples), "heads": unnamed}
    if cut:
        found["cut"] = True
    if slices:
        found["slices"] = list(slices)
        _write(folder / _SLICES, np.stack(list(slices.values())))
    (folder / DESCRIPTION).write_text(json.dumps(found) + "\n")


def read(folder: Path, name: str) -> Split:
    """Read one split without copying it into memory; FileNotFoundError when there is none of this name."""
    return Split(_inputs(folder, name), tuple(_read(folder / file) for file in _label_files(name, heads(folder))))


def unlabelled(folder: Path) -> tuple[Array, ...]:
    """The inputs of the examples that nobody labelled; empty when the model's data has none."""
    return _inputs(folder, "unlabelled")


def with_unlabelled(folder: Path, split: Split, missing: Sequence[float]) -> Split:
    """The split, followed by the examples without labels, which have for each head what stands for a missing one."""
    import numpy as np

    more = unlabelled(folder)
    if not more:
        return split
    labels = []
    for known, value in zip(split.labels, missing, strict=True):
        blank = np.full((len(more[0]), *known.shape[1:]), value, known.dtype)
        labels.append(np.concatenate([known, blank]))
    inputs = tuple(np.concatenate(both) for both in zip(split.inputs, more, strict=True))
    return Split(inputs, tuple(labels))


def heads(folder: Path) -> tuple[Head, ...]:
    """Whose labels the splits have, in their order; without the names of classes.

    An artifact of an edgebuild that knew one output alone names its task, or is a classification.
    """
    described = _described(folder)
    if "heads" not in described:
        return (replace(_ONLY, task=described.get("task", _ONLY.task)),)
    unnamed = ({**one, "labels": []} for one in described["heads"])
    return tuple(documents.from_json(Head, one, file=str(folder / DESCRIPTION)) for one in unnamed)


def examples(folder: Path) -> dict[str, int]:
    """The number of examples of each split."""
    found: dict[str, int] = _described(folder)["examples"]
    return found


def is_cut(folder: Path) -> bool:
    """Whether the validation split was cut from the training examples, for want of one of its own."""
    return bool(_described(folder).get("cut", False))


def set_aside(
    total: int, classes: Array | None = None, seed: int = 0, share: float = _SHARE, most: int | None = _MOST
) -> Mask:
    """Which of the examples [total] are set aside at random, to choose or to judge by: a share of them, no more than
    `most`.

    `classes` [N] are cut in proportion (largest remainders; no class loses its last example), values, which have none,
    at random. ValueError for fewer than two examples.
    """
    import numpy as np

    if total < 2:
        raise ValueError("has 1 example, and one more is needed to choose by")
    rng = np.random.default_rng(seed)
    groups = [] if classes is None else [np.flatnonzero(classes == one) for one in np.unique(classes).tolist()]
    if len(groups) in (0, total):  # values, or one example a class: nothing to be in proportion to
        groups = [np.arange(total)]
    count = min(max(1, round(share * total)), total if most is None else most)
    aside = np.zeros(total, bool)
    for rows, part in zip(groups, _in_proportion([len(rows) for rows in groups], count), strict=True):
        aside[rng.permutation(rows)[:part]] = True
    return aside


def mask(rows: Array, total: int) -> Mask:
    """[total] bool that is true in these rows."""
    import numpy as np

    chosen = np.zeros(total, bool)
    chosen[rows] = True
    return chosen


def _in_proportion(sizes: list[int], count: int) -> list[int]:
    """`count` shared out among groups of these sizes, each keeping one at least."""
    wanted = [size * count / sum(sizes) for size in sizes]
    parts = [min(int(share), size - 1) for share, size in zip(wanted, sizes, strict=True)]
    order = sorted(range(len(sizes)), key=lambda group: parts[group] - wanted[group])
    for group in order:
        if sum(parts) < count and parts[group] < sizes[group] - 1:
            parts[group] += 1
    return parts


def slices(folder: Path) -> dict[str, Mask]:
    """Which held-out examples belong to a slice, [N] bool by the slice's name; they may overlap."""
    names = _described(folder).get("slices", [])
    return dict(zip(names, _read(folder / _SLICES), strict=True)) if names else {}


def chosen(total: int, count: int) -> Array:
    """Rows [count] that stand for all `total` examples: the same at every call, and fewer are among those of more.

    Drawn at random, since examples are often sorted by class; all of them, in order, when all are asked for.
    """
    import numpy as np

    return np.arange(total) if count >= total else drawn(total)[:count]


def drawn(total: int) -> Array:
    """All rows [total] in the order in which they are drawn at random: the same at every call."""
    import numpy as np

    order: Array = np.random.default_rng(0).permutation(total)
    return order


def calibration(folder: Path, count: int, seed: int) -> Split:
    """`count` training examples drawn at random with this seed (fewer when there are fewer)."""
    return _drawn(read(folder, "train"), count, seed)


def validation(folder: Path, count: int, seed: int) -> Split:
    """`count` examples to choose by, drawn as `calibration` draws; nothing was learnt from them, and none judges."""
    return _drawn(read(folder, "validation"), count, seed)


def _drawn(split: Split, count: int, seed: int) -> Split:
    import numpy as np

    rows = np.random.default_rng(seed).permutation(len(split))[:count]
    return split.take(np.sort(rows))


def _described(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found


def _label_files(name: str, heads: Sequence[Head]) -> list[str]:
    """Where the labels of each head are."""
    return [f"{name}.labels.npy"] if len(heads) == 1 else [f"{name}.labels.{head.name}.npy" for head in heads]


def _inputs(folder: Path, name: str) -> tuple[Array, ...]:
    paths = sorted(folder.glob(f"{name}.[0-9]*.npy"), key=lambda path: int(path.name.split(".")[1]))
    return tuple(_read(path) for path in paths)


def _write(path: Path, values: Array) -> None:
    import numpy as np

    np.save(path, np.ascontiguousarray(values))


def _read(path: Path) -> Array:
    import numpy as np

    values: Array = np.load(path, mmap_mode="r")
    return values
