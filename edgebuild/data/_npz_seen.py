"""What an .npz is taken for at a glance: classes, values, pictures, or inputs that nobody labelled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data._npz_header import UNREADABLE, header
from edgebuild.spec.data import Guess
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Port = tuple[tuple[int, ...], np.dtype[Any]]


def labelled(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess:
    """Arrays with labels among them; UsageError for what is no .npz."""
    ports = _ports(file).values()
    whole = any(kind.kind in "iu" and shape and {*shape[1:]} <= {1} for shape, kind in ports)
    pictures = len(inputs) <= 1 and any(kind == "uint8" and len(shape) in (3, 4) for shape, kind in ports)
    task = "classification" if whole else "regression"
    note = f"task {task!r}, since labels are {'whole' if whole else 'real'} numbers"
    return Guess("arrays", {"file": file}, task, count=_count(file), pictures=pictures, guesses=(note,))


def alone(file: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
    """Arrays by the names of inputs and no others; None where there are others."""
    names = {*_ports(file)}
    if not names or names != {spec.name for spec in inputs}:
        return None
    note = "there are no labels: answers are held against the file's own, which says nothing of accuracy"
    return Guess("inputs without labels", {"file": file}, "agreement", guesses=(note,), sure=2)


def _count(file: Path) -> int:
    """The number of classes: one more than the largest whole label."""
    import numpy as np

    with np.load(file, allow_pickle=False) as stored:
        arrays = (stored[name] for name, (shape, kind) in _ports(file).items() if kind.kind in "iu" and len(shape) == 1)
        return max((int(values.max()) + 1 for values in arrays if len(values)), default=2)


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
