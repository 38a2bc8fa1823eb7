"""A model folder written in the test, as a step sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.spec.artifact import Step
from edgebuild.spec.errors import EdgebuildError
from tests import tiny

Refuse = Callable[..., str]


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], Path]:
    """A source folder with this `model.py`."""

    def write(code: str) -> Path:
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        (folder / "model.py").write_text(code)
        return folder

    return write


@pytest.fixture
def refusal(source: Callable[[str], Path], tmp_path: Path) -> Refuse:
    """The one line with which a step refuses a model folder."""

    def refuse(step: Step, code: str, **inputs: Path) -> str:
        given = {role: (role, path) for role, path in inputs.items()} | {"code": ("code", source(code))}
        with pytest.raises(EdgebuildError) as caught:
            tiny.perform(step, tmp_path / "output", given)
        assert caught.value.exit_code == 2
        return caught.value.line

    return refuse
