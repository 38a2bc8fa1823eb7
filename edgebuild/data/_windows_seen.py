"""Whether files are recordings of sensors for a model: their columns are then as many as one axis of its input has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebuild.data import _seen
from edgebuild.data._sheet import Sheet
from edgebuild.spec.data import Guess
from edgebuild.spec.signature import TensorSpec

_HELD = ("recording", "record", "run", "session", "trial")


def windows(
    sheets: Sequence[Sheet], place: Path, files: Sequence[Path], inputs: tuple[TensorSpec, ...]
) -> Guess | None:
    """`sheets` are the `files` at `place`; None where no axis is as long as there are signals."""
    if not sheets or len(inputs) != 1 or inputs[0].dtype != "float32":
        return None
    sheet = sheets[0]
    shape = [size for size in inputs[0].shape if size != 1]
    if len(shape) > 2 or not shape:
        return None
    label, person, held = (_seen.named(sheet, names) for names in (_seen.LABELS, _seen.PEOPLE, _HELD))
    first = next(sheet.blocks([*sheet.columns]), None)
    if first is None:
        return None
    cells = dict(zip(sheet.columns, first, strict=True))
    others = {label, person, held}
    names = [name for name in sheet.columns if name not in others and name.lower() not in _seen.UNUSED]
    signals = [name for name in names if _seen.numeric(cells[name])]
    axes = shape if len(shape) == 2 else [1, *shape]
    if not signals or len(signals) not in axes or (place.is_file() and len(inputs[0].shape) < 2):
        return None
    time_first = axes[0] != len(signals)
    length = axes[0] if time_first else axes[1]
    how = {"kind": "window", "signals": signals, "length": length, "shape": [*inputs[0].shape]}
    how |= {"time_first": True} if time_first else {}
    stride = max(length // 4, 1)
    options = {"files": place, "stride": stride} | {
        key: column for key, column in (("label", label), ("recording", held), ("group", person)) if column is not None
    }
    guesses = [f"windows of {length} samples begin every {stride}; signals go in as they are, by mean and std"]
    if person is None:
        guesses.append("nothing says who was recorded: windows of one recording stay together")
    labelling = _folders(files) if label is None else _together([_seen.labels(one, label) for one in sheets])
    return Guess("recordings", options, preprocess=how, guesses=tuple(guesses), sure=2, **labelling)


def _folders(files: Sequence[Path]) -> Mapping[str, Any]:
    """Classes by the folders of files, where no column has them."""
    return {"classes": tuple(sorted({path.parent.name for path in files}))}


def _together(labellings: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What all files say of the label."""
    if task := next((one["task"] for one in labellings if "task" in one), None):
        return {"task": task}
    names = {name for one in labellings for name in one.get("classes", ())}
    return {
        **labellings[0],
        "classes": tuple(sorted(names)),
        "count": max((one.get("count", 0) for one in labellings), default=0),
    }
