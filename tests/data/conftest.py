"""Data as a model.toml declares it, loaded as a build loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.plan.weights import data_of, loader
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model
from edgebuild.spec.reads import Memo
from tests import tiny

Load = Callable[..., Path]

HEAD = """\
description = "x"
labels = ["cat", "dog"]
source = {use = "onnx", file = "x.onnx"}
[[inputs]]
name = "image"
shape = [3, 4, 4]
"""
PREPROCESS = "[preprocess]\nwidth = 4\nheight = 4\nchannels = 3\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The artifact of the data that these lines of a model.toml declare."""

    def make(lines: str, head: str = HEAD) -> Path:
        folder = tmp_path / "models" / "m"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.toml").write_text(head + lines)
        model = read_model(folder, "models/m/model.toml")
        how = model.declared.preprocess
        names = [*data_of(model).reads().values(), *(how.reads().values() if how else ())]
        reads = [Memo().read(folder, name) for name in names]
        number = sum(1 for _ in tmp_path.glob("out*"))
        return tiny.perform(loader(model, tuple(read for read in reads if read)), tmp_path / f"out{number}", {})

    return make


@pytest.fixture
def refused(load: Load) -> Callable[..., str]:
    """The one line with which data is refused."""

    def refuse(lines: str, head: str = HEAD) -> str:
        with pytest.raises(UsageError) as caught:
            load(lines, head)
        return caught.value.line

    return refuse
