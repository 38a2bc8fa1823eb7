"""What an .npz is taken for at a glance: classes, values, pictures, or inputs that nobody labelled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data._npz_header import UNREADABLE, header
from edgebuild.data._splits import ALIASES
from edgebuild.spec.data import Guess
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Port = tuple[tuple[int, ...], np.dtype[Any]]

# What arrays are usually called, in the order in which they are looked for.
USUAL_INPUTS = ("x", "X", "images", "image", "data", "inputs", "input", "features")
USUAL_LABELS = ("y", "Y", "labels", "label", "targets", "target", "classes", "class", "masks", "mask")
VOID = 255  # of a pixel that counts for nobody


def labelled(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess:
    """Arrays with labels among them; UsageError for what is no .npz."""
    ports = _ports(file)
    names = {one: _plain(one) for one in ports}
    own, labels = _sides({names[one]: port for one, port in ports.items()}, inputs)
    pictures = len(inputs) <= 1 and any(_picture(port) for one, port in ports.items() if names[one] not in labels)
    options: dict[str, Any] = {"file": file}
    guesses = []
    for key, several, usual in (("inputs", own, USUAL_INPUTS), ("labels", labels, USUAL_LABELS)):
        if several and not {*several} & {*usual, *(spec.name for spec in inputs)}:
            options[key] = several[:1]
            guesses.append(f"{key} are the array {several[0]!r}")
    first = next((one for one in ports if names[one] in labels[:1]), None)
    task, why, count = ("regression", "real numbers", 0) if first is None else _task(file, first, ports[first])
    return Guess(
        "arrays",
        options,
        task,
        count=count,
        pictures=pictures,
        guesses=(*guesses, f"task {task!r}, since labels are {why}"),
    )


def alone(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
    """Arrays by the names of inputs and no others; None where there are others."""
    names = {*_ports(file)}
    if not names or names != {spec.name for spec in inputs}:
        return None
    note = "there are no labels: answers are held against the file's own, which says nothing of accuracy"
    return Guess("inputs without labels", {"file": file}, "agreement", guesses=(note,), sure=2)


def _plain(name: str) -> str:
    """The name of an array without that of a split."""
    for alias in (alias for names in ALIASES.values() for alias in names):
        for short in (name.removesuffix(f"_{alias}"), name.removeprefix(f"{alias}_")):
            if short != name:
                return short
    return name


def _sides(arrays: Mapping[str, Port], inputs: tuple[TensorSpec, ...]) -> tuple[list[str], list[str]]:
    """Names of arrays that are inputs and of those that are labels, the likeliest first: by usual names, else by shapes
    where one alone is left.
    """
    import numpy as np

    several = [one for one, (shape, _) in arrays.items() if shape and one != "slice"]
    usual = {spec.name for spec in inputs} | ({*USUAL_INPUTS} if len(inputs) == 1 else set())
    own = [one for one in several if one in usual]
    if not own and len(inputs) == 1:
        spec = inputs[0]
        same = [one for one in several if arrays[one][0][1:] == spec.shape]
        alike = [one for one in same if arrays[one][1].kind == np.dtype(spec.dtype).kind]
        coloured = [one for one in several if len(spec.shape) == 3 and _picture(arrays[one])]
        own = next((fit for fit in (alike, same, coloured) if len(fit) == 1), [])
    rest = [one for one in several if one not in own]
    labels = [one for one in USUAL_LABELS if one in rest]
    return own, labels or (rest if len(rest) == 1 else [])


def _picture(port: Port) -> bool:
    shape, kind = port
    return kind == "uint8" and len(shape) in (3, 4)


def _task(file: Path, name: str, port: Port) -> tuple[str, str, int]:
    """What labels of this array are for, why, and of how many classes: one more than the largest number."""
    import numpy as np

    shape, kind = port
    if kind.kind not in "iu":
        return "regression", "real numbers", 0
    with np.load(file, allow_pickle=False) as stored:
        values = stored[name]
    if {*shape[1:]} <= {1}:
        return "classification", "whole numbers", int(values.max(initial=1)) + 1
    if len(shape) == 3:
        counted = values[values != VOID]
        return "segmentation", "whole numbers for every pixel", int(counted.max(initial=1)) + 1
    if len(shape) == 2 and ((values == 0) | (values == 1)).all():
        return "multilabel", "0 or 1 for each class", shape[1]
    return "regression", "several numbers each", 0


def _ports(file: Path) -> dict[str, Port]:
    """Shape and type of each array; UsageError for what is no .npz."""
    try:
        with zipfile.ZipFile(file) as archive:
            ports = {}
            for member in archive.namelist():
                with archive.open(member) as stream:
                    shape, _, dtype = header(stream)
                    ports[member.removesuffix(".npy")] = (shape, dtype)
            return ports
    except UNREADABLE as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"is no .npz of named arrays: {reason}", file=str(file), key="--data") from None
