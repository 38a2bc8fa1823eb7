"""Plans of targets written in the test, for the tiny model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebuild.engine.store import Store
from edgebuild.plan import planner
from edgebuild.plan.planner import Plan
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.files import read_model, read_target
from edgebuild.spec.target import Policy
from tests import tiny

TARGET = """\
description = "a board"
hardware = {arch = "aarch64", cpu = "cortex-a72", channel_multiple = 4}
runtimes = [{format = "onnx"}, {format = "tflite"}]
recipe = [{use = "prune_channels"}, {use = "distill"}, {use = "int8"}]
devices = [{transport = "local"}]
gates = [{metric = "accuracy", limit = "1 pp"}, {metric = "size", limit = "9 %"}, {metric = "latency", limit = "3 %"}]
"""

Planner = Callable[..., Plan]
NOTHING = Policy()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def plan(tmp_path: Path, store: Store) -> Planner:
    """Plan the tiny model for the target above, with lines replaced by name; `model` is added to model.toml."""

    def make(*, model: str = "", files: dict[str, str] | None = None, policy: Policy = NOTHING, **lines: str) -> Plan:
        text = TARGET.splitlines(keepends=True)
        text = [f"{name} = {lines[name]}\n" if (name := line.split()[0]) in lines else line for line in text]
        (tmp_path / "board.toml").write_text("".join(text))
        folder = tmp_path / "models" / "tiny"
        shutil.copytree(tiny.MODELS / "tiny", folder, dirs_exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_text(content)
        (folder / "model.toml").write_text(model.partition("\n[")[0] + "\n" + (folder / "model.toml").read_text())
        with (folder / "model.toml").open("a") as file:
            file.write("\n[" + model.partition("\n[")[2] if "\n[" in model else "")
        target = read_target(tmp_path / "board.toml", "targets/board.toml")
        spec = read_model(folder, "models/tiny/model.toml")
        return planner.make(store, [target], [spec], ["board", "rpi4"], policy)

    return make


@pytest.fixture
def refusal(plan: Planner) -> Callable[..., str]:
    """The one line with which a plan is refused."""

    def refuse(**lines: str) -> str:
        with pytest.raises(EdgebuildError) as caught:
            plan(**lines)
        assert caught.value.exit_code == (2 if isinstance(caught.value, UsageError) else 4)
        return caught.value.line

    return refuse
