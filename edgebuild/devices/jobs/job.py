"""A job as the runner reads it: model files, what they are fed, and `job.json`; here alone it is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebuild import travels
from edgebuild.spec import model_file

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

Mode = Literal["outputs", "latency", "count", "layers", "layer-counts", "describe"]
JOB, INPUTS = "job.json", "inputs.npz"


@dataclass(frozen=True, slots=True)
class JobModel:
    """A model file, its name in the results, and how the device's runtime is to run it.

    `layouts` are those of `spec.model_file.layouts`, where what it is fed is laid out as in PyTorch. `inputs` is what
    it is fed where that is not what all are.
    """

    name: str
    file: Path
    threads: int = 1
    providers: tuple[str, ...] = ()
    layouts: Mapping[str, list[str | None]] = field(default_factory=dict)
    inputs: Path | None = None


def write(
    folder: Path,
    mode: Mode,
    models: Sequence[JobModel],
    inputs: Path | None = None,
    **settings: float | str | list[int] | list[list[int]],
) -> None:
    """Make `folder` a complete job; it may be there already. `settings` are those that `travels/runner.py` lists.

    `inputs` is a file as `write_inputs` makes it, perhaps the job's own already; None for a mode that needs none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {model.name: f"{model.name}{model.file.suffix}" for model in models}
    for model in models:
        _share(model.file, folder / files[model.name])
        _bring_loader(model.file, folder)
    own = {model.name: f"{model.name}.{INPUTS}" for model in models if model.inputs is not None}
    listed = [asdict(model) | {"file": files[model.name], "inputs": own.get(model.name)} for model in models]
    content = {"mode": mode, "models": listed, **settings}
    for model in models:
        if model.inputs is not None:
            _share(model.inputs, folder / own[model.name])
    if inputs is not None:
        content["inputs"] = INPUTS
        _share(inputs, folder / INPUTS)
    (folder / JOB).write_text(json.dumps(content), encoding="utf-8")


def write_inputs(path: Path, inputs: tuple[Array, ...]) -> None:
    """Write what models are fed: arrays "0", "1", … by argument position, examples on axis 0."""
    import numpy as np

    np.savez(path, **{str(position): values for position, values in enumerate(inputs)})  # type: ignore[arg-type]


def mode_of(folder: Path) -> Mode:
    """What the job in a folder asks for."""
    mode: Mode = json.loads((folder / JOB).read_text(encoding="utf-8"))["mode"]
    return mode


def _bring_loader(model: Path, folder: Path) -> None:
    """Put what opens a model file beside it: the loader of a format from elsewhere, which the runner has not."""
    opener = model_file.opener(model)
    if opener is not None and opener != travels.file(opener.name):
        shutil.copyfile(opener, folder / opener.name)


def strip(folder: Path) -> None:
    """Remove what was shared into a job's folder; the job and what it measured stay."""
    content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    own = (model["inputs"] for model in content["models"] if model["inputs"])
    for name in (INPUTS, *own, *(model["file"] for model in content["models"])):
        (folder / name).unlink(missing_ok=True)


def _share(source: Path, target: Path) -> None:
    """Hard link, or a copy where file systems differ: runners only read, and forty copies of a model are big."""
    if source == target:
        return
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
