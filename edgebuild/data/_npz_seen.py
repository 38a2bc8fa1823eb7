"""What an .npz is taken for at a glance: classes, values, pictures, or inputs that nobody labelled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data._npz_header import UNREADABLE, header
from edgebuild.data._seen import PEOPLE
from edgebuild.data._splits import ALIASES, LABELLED
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
_CLASS_NAMES = ("class_names", "classes", "labels", "names", "label_names", "target_names", "categories")
_PEOPLE = {spelt for name in PEOPLE for spelt in (name, f"{name}s")}


def labelled(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess:
    """Arrays with labels among them; UsageError for what is no .npz."""
    ports = _ports(file)
    called = _class_names(ports)
    names = {one: _plain(one) for one in ports if one != called}
    own, labels = _sides({plain: ports[one] for one, plain in names.items()}, inputs)
    pictures = len(inputs) <= 1 and any(_picture(ports[one]) for one, plain in names.items() if plain not in labels)
    options: dict[str, Any] = {"file": file}
    shapes = [ports[one][0][1:] for one, plain in names.items() if plain in own[:1]]
    types = {plain: ports[one][1].name for one, plain in names.items() if plain in own}
    types = {inputs[0].name: types[own[0]]} if len(inputs) == 1 and own else types
    guesses = []
    for key, several, usual in (("inputs", own, USUAL_INPUTS), ("labels", labels, USUAL_LABELS)):
        plainly = {*several} & {*usual, *(spec.name for spec in inputs)} and (key == "inputs" or called not in usual)
        if several and not plainly:
            options[key] = several[:1]
            guesses.append(f"{key} are the array {several[0]!r}")
    group, line = _group(file, names, ports, labels[0]) if labels else (None, ())
    options |= {} if group is None else {"group": group}
    first = next((one for one, plain in names.items() if plain in labels[:1]), None)
    task, why, count = ("regression", "real numbers", 0) if first is None else _task(file, first, ports[first])
    classes, order = (_names(file, called) if called is not None else ()), f"those of the array {called!r}"
    if first is not None and ports[first][1].kind in "US":
        words = {word for one, plain in names.items() if plain == names[first] for word in _names(file, one)}
        if not words <= {*classes}:
            classes, order = tuple(sorted(words)), "words of the labels by the alphabet"
    return Guess(
        "arrays",
        options,
        task,
        classes if len({*classes}) == len(classes) >= max(count, 2) else (),
        order,
        count=count,
        pictures=pictures,
        example=() if pictures or len(inputs) != 1 or not shapes else shapes[0],
        dtypes={} if pictures else types,
        guesses=(*guesses, *line, f"task {task!r}, since labels are {why}"),
    )


def alone(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
    """Arrays by the names of inputs and no others; None where there are others."""
    ports = _ports(file)
    names = {*ports}
    if not names or names != {spec.name for spec in inputs}:
        return None
    note = "there are no labels: answers are held against the file's own, which says nothing of accuracy"
    types = {name: dtype.name for name, (_, dtype) in ports.items()}
    return Guess("inputs without labels", {"file": file}, "agreement", dtypes=types, guesses=(note,), sure=2)


def _class_names(ports: Mapping[str, Port]) -> str | None:
    """The array of words that has a name for each class, so that it is not as long as there are examples."""
    rows = {shape[0] for shape, _ in ports.values() if len(shape) > 1}
    texts = (one for one in _CLASS_NAMES if one in ports and ports[one][1].kind in "US")
    return next((one for one in texts if len(ports[one][0]) == 1 and ports[one][0][0] not in rows), None)


def _names(file: Path, name: str) -> tuple[str, ...]:
    return tuple(texts(_values(file, name)))


def texts(values: np.ndarray[Any, Any]) -> list[str]:
    """Words [n], which numpy keeps as text or as bytes."""
    return [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in values.ravel().tolist()]


def _group(
    file: Path, names: Mapping[str, str], ports: Mapping[str, Port], label: str
) -> tuple[str | None, tuple[str, ...]]:
    """The name of the arrays that say what examples have in common, without that of a split, and a line on them; None
    where splits cannot be cut by them, or were cut by something else.

    names: of all arrays without that of a split, by their own; label: of those of the labels
    """
    plain = next((own for own in names.values() if own != label and own.lower() in _PEOPLE), None)
    labels, arrays = _by_split(names, label), _by_split(names, plain or "")
    fits = (ports[arrays[split]][0] == ports[one][0][:1] for split, one in labels.items() if split in arrays)
    if plain is None or arrays.keys() != labels.keys() or not all(fits):
        return None, ()
    if any(ports[one][1].hasobject for one in arrays.values()):
        return None, (f"array {plain!r} holds Python objects, which may be code, and is left out",)
    own = [{*_values(file, one).tolist()} for one in arrays.values()]
    shared = [one for left, right in combinations(own, 2) for one in left & right]
    if shared:
        return None, (f"array {plain!r} is left out: {min(map(str, shared))!r} is in two splits, as the file has them",)
    if sum(map(len, own)) < len(LABELLED):
        few = (
            f"array {plain!r} is left out: it names {sum(map(len, own))}, and each of {len(LABELLED)} splits needs one"
        )
        return None, (few,)
    return plain, (f"array {plain!r} says what examples have in common: nobody is in two splits",)


def _by_split(names: Mapping[str, str], plain: str) -> dict[str, str]:
    """The arrays that are called so, by what else is in their names."""
    return {one.replace(plain, "", 1): one for one, own in names.items() if own == plain}


def _values(file: Path, name: str) -> np.ndarray[Any, Any]:
    import numpy as np

    with np.load(file, allow_pickle=False) as stored:
        values: np.ndarray[Any, Any] = stored[name]
    return values


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
    rest = [one for one in rest if one.lower() not in _PEOPLE] or rest  # who speaks may be what is asked
    labels = [one for one in USUAL_LABELS if one in rest]
    return own, labels or (rest if len(rest) == 1 else [])


def _picture(port: Port) -> bool:
    shape, kind = port
    return kind == "uint8" and len(shape) in (3, 4)


def _task(file: Path, name: str, port: Port) -> tuple[str, str, int]:
    """What labels of this array are for, why, and of how many classes: one more than the largest number."""
    shape, kind = port
    if kind.kind in "US":
        return "classification", "words", 0
    if kind.kind not in "iu":
        return "regression", "real numbers", 0
    values = _values(file, name)
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
