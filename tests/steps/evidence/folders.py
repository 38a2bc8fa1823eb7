"""Folders as the steps before would have left them, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgebuild.spec import dataset


def outputs(folder: Path, values: Any, fidelity: str = "host") -> tuple[str, Path]:
    """What a model answered somewhere."""
    folder.mkdir(parents=True)
    np.savez(folder / "outputs.npz", **{"0": np.asarray(values, np.float32)})
    (folder / "origin.json").write_text(json.dumps({"fidelity": fidelity, "device": "that", "runtimes": {}}))
    return "outputs", folder


def evidence(folder: Path, found: Any) -> tuple[str, Path]:
    """What a measurement found."""
    folder.mkdir(parents=True)
    (folder / "evidence.json").write_text(json.dumps(found))
    return "evidence", folder


def data(folder: Path, labels: Any, split: str = "test") -> tuple[str, Path]:
    """Examples with these labels that nothing has learnt from."""
    folder.mkdir(parents=True)
    values = np.asarray(labels, np.int64)
    dataset.write(folder, split, dataset.Split((np.zeros((len(values), 1), np.float32),), values))
    return "data", folder


def read(folder: Path, name: str = "evidence.json") -> Any:
    """What a step wrote; strict, for other programs read it too."""
    return json.loads((folder / name).read_text(), parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
