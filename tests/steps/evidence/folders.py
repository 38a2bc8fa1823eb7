"""Folders as the steps before would have left them, made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edgebuild.spec import dataset, documents
from edgebuild.spec.evidence import FILE, ORIGIN
from edgebuild.spec.rows import Split
from edgebuild.spec.target import Fidelity
from tests import measured


def outputs(folder: Path, values: Any, fidelity: Fidelity = "host", *, more: Sequence[Any] = ()) -> tuple[str, Path]:
    """What a model answered somewhere; `more` are the outputs after the first."""
    folder.mkdir(parents=True)
    every = {str(place): np.asarray(each, np.float32) for place, each in enumerate((values, *more))}
    np.savez(folder / "outputs.npz", **every)  # type: ignore[arg-type]
    documents.write(folder / ORIGIN, measured.origin(fidelity))
    return "outputs", folder


def evidence(folder: Path, document: object) -> tuple[str, Path]:
    """What a measurement found."""
    folder.mkdir(parents=True)
    documents.write(folder / FILE, document)
    return "evidence", folder


def data(folder: Path, labels: Any, split: str = "test") -> tuple[str, Path]:
    """Examples with these labels that nothing has learnt from."""
    folder.mkdir(parents=True)
    values = np.asarray(labels, np.int64)
    dataset.write(folder, split, Split((np.zeros((len(values), 1), np.float32),), (values,)))
    return "data", folder


Document = TypeVar("Document")


def read(kind: type[Document], folder: Path, name: str = FILE) -> Document:
    """What a step wrote; strict, for other programs read it too."""
    json.loads((folder / name).read_text(), parse_constant=_refuse)
    return documents.read(kind, folder / name)


def samples(folder: Path) -> Any:
    """The raw values that a step kept beside its evidence."""
    return json.loads((folder / "samples.json").read_text(), parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
