"""A data set as an artifact: plain .npy files, memory-mapped.

`<split>.<position>.npy` holds the examples of the model's input at that position, `<split>.labels.npy` what they
should be answered with (`<split>.labels.<head>.npy` where there are several heads), `test.slices.npy` which held-out
examples belong to which slice, `<split>.groups.npy` what examples have in common, `data.json` the rest.

Three splits, and each has one use: `train` is learnt from, `validation` is what every choice is made on (ratios, layers
to keep in float, steps to leave out), and `test` belongs to the judge, who would be biased had anybody chosen by it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.spec import documents
from edgebuild.spec.rows import Column, Form, Joined, Rows, Split, Stored
from edgebuild.spec.signature import ANSWER, Head

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask

Held = Literal["test", "validation"]  # the splits that nothing is learnt from
SplitName = Literal["train", "test", "validation"]
DESCRIPTION, _SLICES, _FILES = "data.json", "test.slices.npy", "files"
_ONLY = Head(ANSWER, "classification")


def write(folder: Path, name: str, split: Split, heads: Sequence[Head] = ()) -> None:
    """Write one split; `folder` must exist. `heads` are those of the labels, needless where there is one."""
    write_inputs(folder, name, split.inputs)
    write_labels(folder, name, split.labels, heads or [_ONLY])


def write_inputs(folder: Path, name: str, inputs: tuple[Array, ...]) -> None:
    """Write the inputs of a split that has no labels."""
    for position, values in enumerate(inputs):
        _write(folder / f"{name}.{position}.npy", values)


def room(folder: Path, name: str, position: int, shape: tuple[int, ...], dtype: str) -> Array:
    """An array on disk, to be filled, for the examples [N, …] of a split's input; N above 0.

    OSError where the disk is too small: on one that gets full later, filling it would be a SIGBUS.
    """
    import numpy as np

    path = folder / f"{name}.{position}.npy"
    values: Array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    return values


def write_labels(folder: Path, name: str, labels: Sequence[Array], heads: Sequence[Head]) -> None:
    """Write what a split's examples should be answered with, for each head."""
    for file, values in zip(_label_files(name, heads), labels, strict=True):
        _write(folder / file, values)


def keep_file(folder: Path, file: Path) -> None:
    """Keep a file that inputs were prepared with, such as a vocabulary: a bundle carries it."""
    (folder / _FILES).mkdir()
    shutil.copyfile(file, folder / _FILES / file.name)


def files(folder: Path) -> list[Path]:
    """The files that inputs were prepared with."""
    return sorted((folder / _FILES).glob("*"))


def write_streams(folder: Path, name: str, streams: Array) -> None:
    """Write which stream each example of a split is of, [N] whole numbers; those of one follow each other in order."""
    _write(folder / f"{name}.streams.npy", streams)


def streams(folder: Path, name: str) -> Array | None:
    """Which stream each example is of, [N]; None where examples are on their own."""
    file = folder / f"{name}.streams.npy"
    return _read(file) if file.is_file() else None


def write_groups(folder: Path, name: str, groups: Array) -> None:
    """Write which group each example of a split is of, [N] whole numbers: examples of one are not independent."""
    _write(folder / f"{name}.groups.npy", groups)


def groups(folder: Path, name: str) -> Array | None:
    """Which group each example is of, [N]; None where nothing is said of any."""
    file = folder / f"{name}.groups.npy"
    return _read(file) if file.is_file() else None


def together(folder: Path, name: str) -> Array | None:
    """What examples of a split have in common, [N] whole numbers: their groups, else their streams where there are
    several; None where they are independent.
    """
    import numpy as np

    if (known := groups(folder, name)) is not None:
        return known
    known = streams(folder, name)
    return known if known is not None and len(np.unique(known)) > 1 else None


def starts(streams: Array) -> Mask:
    """Which examples [N] are the first of a stream."""
    import numpy as np

    return np.append(True, streams[1:] != streams[:-1])


def describe(
    folder: Path,
    heads: Sequence[Head],
    examples: Mapping[str, int],
    slices: Mapping[str, Array],
    forms: Sequence[Form] = (),
    *,
    cut: bool = False,
    without: str | None = None,
) -> None:
    """Write what is not in the splits: whose labels they have, the number of examples of each, [N] bool masks of `test`
    by name, what becomes of each input when it is read (nothing where that is left out), whether the validation split
    was cut from the training examples, and what the inputs are called where there are no labels.

    The names of classes are left out: nothing that is learnt depends on them.
    """
    import numpy as np

    unnamed = [documents.to_json(head) for head in heads]
    for head in unnamed:
        del head["labels"]
    description: dict[str, object] = {"examples": dict(examples), "heads": unnamed}
    if forms:
        description["inputs"] = [asdict(form) for form in forms]
    if cut:
        description["cut"] = True
    if without is not None:
        description["without_labels"] = without
    if slices:
        description["slices"] = list(slices)
        _write(folder / _SLICES, np.stack(list(slices.values())))
    (folder / DESCRIPTION).write_text(json.dumps(description) + "\n")


def read(folder: Path, name: str) -> Stored:
    """Read one split without copying it into memory; FileNotFoundError when there is none of this name."""
    return Stored(_inputs(folder, name), tuple(_read(folder / file) for file in _label_files(name, heads(folder))))


def unlabelled(folder: Path) -> tuple[Rows, ...]:
    """The inputs of the examples that nobody labelled; empty when the model's data has none."""
    return _inputs(folder, "unlabelled")


def learnt_from(folder: Path) -> dict[str, tuple[Rows, ...]]:
    """The inputs of the splits that are learnt from, by name: with labels, and without where the data has such."""
    splits = {"train": _inputs(folder, "train"), "unlabelled": unlabelled(folder)}
    return {name: inputs for name, inputs in splits.items() if inputs}


def outputs(folder: Path) -> dict[str, tuple[Array, ...]]:
    """What was written of answers to the splits that are learnt from, by output; as `room` was filled."""
    names = {path.name.partition(".")[0] for path in folder.glob("*.[0-9]*.npy")}
    return {
        name: tuple(_read(folder / f"{name}.{place}.npy") for place in range(len([*folder.glob(f"{name}.[0-9]*.npy")])))
        for name in sorted(names)
    }


def with_unlabelled(folder: Path, split: Stored, missing: Sequence[float]) -> Stored:
    """The split, followed by the examples without labels, which have for each head what stands for a missing one."""
    import numpy as np

    more = unlabelled(folder)
    if not more:
        return split
    labels = []
    for known, value in zip(split.labels, missing, strict=True):
        blank = np.full((len(more[0]), *known.shape[1:]), value, known.dtype)
        labels.append(np.concatenate([known, blank]))
    return Stored(tuple(map(Joined, split.inputs, more)), tuple(labels))


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
    counts: dict[str, int] = _described(folder)["examples"]
    return counts


def is_cut(folder: Path) -> bool:
    """Whether the validation split was cut from the training examples, for want of one of its own."""
    return bool(_described(folder).get("cut", False))


def without_labels(folder: Path) -> str | None:
    """What the inputs are called where nobody labelled them; None where there are labels."""
    what: str | None = _described(folder).get("without_labels")
    return what


def slices(folder: Path) -> dict[str, Mask]:
    """Which held-out examples belong to a slice, [N] bool by the slice's name; they may overlap."""
    names = _described(folder).get("slices", [])
    return dict(zip(names, _read(folder / _SLICES), strict=True)) if names else {}


def calibration(folder: Path, count: int, seed: int) -> Split:
    """`count` training examples drawn at random with this seed (fewer when there are fewer)."""
    return _drawn(read(folder, "train"), count, seed)


def validation(folder: Path, count: int, seed: int) -> Split:
    """`count` examples to choose by, drawn as `calibration` draws; nothing was learnt from them, and none judges."""
    return _drawn(read(folder, "validation"), count, seed)


def _drawn(split: Stored, count: int, seed: int) -> Split:
    import numpy as np

    rows = np.random.default_rng(seed).permutation(len(split))[:count]
    return split.take(np.sort(rows))


def _described(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    description: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return description


def _label_files(name: str, heads: Sequence[Head]) -> list[str]:
    """Where the labels of each head are."""
    return [f"{name}.labels.npy"] if len(heads) == 1 else [f"{name}.labels.{head.name}.npy" for head in heads]


def _inputs(folder: Path, name: str) -> tuple[Rows, ...]:
    paths = sorted(folder.glob(f"{name}.[0-9]*.npy"), key=lambda path: int(path.name.split(".")[1]))
    stored = [_read(path) for path in paths]
    forms = [Form(**one) for one in _described(folder).get("inputs", [])]
    return tuple(map(Column, stored, forms or [Form(str(values.dtype)) for values in stored]))


def _write(path: Path, values: Array) -> None:
    import numpy as np

    np.save(path, np.ascontiguousarray(values))


def _read(path: Path) -> Array:
    import numpy as np

    values: Array = np.load(path, mmap_mode="r")
    return values
