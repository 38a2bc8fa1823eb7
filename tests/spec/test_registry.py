"""Plug-ins are found by file name, and those of third parties by entry point."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from edgebuild.spec import plugins
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import class_name
from edgebuild.spec.registry import FORMATS, STEPS, takes


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let two distributions add steps: one with a name of its own, one with a name of ours."""
    points = [
        EntryPoint("melt", "edgebuild.steps.techniques.float16:Float16", "edgebuild.steps"),
        EntryPoint("int8", "nowhere:Nothing", "edgebuild.steps"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints(points))
    plugins.forget()
    yield
    plugins.forget()


def test_a_file_name_is_the_name_of_its_class() -> None:
    assert [class_name(name) for name in ("int8", "prune_channels", "tflite")] == ["Int8", "PruneChannels", "Tflite"]
    assert STEPS.get("int8").__module__ == STEPS.module("int8") == "edgebuild.steps.techniques.int8"


def test_an_unknown_name_is_answered_with_the_nearest_where_it_stands() -> None:
    with pytest.raises(UsageError) as caught:
        FORMATS.get("onx", file="a.toml", key="runtimes[0]")
    known = ", ".join(FORMATS.names())
    assert caught.value.line == f"a.toml: runtimes[0]: unknown format 'onx' (did you mean 'onnx'? known: {known})"


@pytest.mark.usefixtures("foreign")
def test_an_entry_point_adds_a_step_and_ours_win_over_one_of_the_same_name() -> None:
    assert "melt" in STEPS.names()
    assert STEPS.get("melt").__name__ == "Float16"
    assert STEPS.get("int8").__module__ == "edgebuild.steps.techniques.int8"
    assert "melt" not in FORMATS.names()


def test_a_step_on_files_takes_those_of_a_format_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("engine", "edgebuild.formats.onnx:Onnx", "edgebuild.formats")
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints([point]))
    plugins.forget()
    try:
        for name in ("int8", "encode"):
            assert [takes(STEPS.get(name), kind) for kind in ("engine", "onnx", "torch")] == [True, True, False]
        assert not takes(STEPS.get("prune_channels"), "engine")
    finally:
        plugins.forget()
