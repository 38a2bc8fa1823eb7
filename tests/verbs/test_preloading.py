"""What workers are forked with: what the steps that may run need, and nothing that none of them does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.engine import worker
from edgebuild.spec.project import open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.surroundings import QUIET
from edgebuild.verbs import preloading
from edgebuild.verbs.request import Request, planned
from tests.scenarios.conftest import PROJECT


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What workers are forked with for the nodes of a target whose labels end so."""

    def forked(*ends: str, least: int = 3) -> list[str]:
        told: list[str] = []
        monkeypatch.setattr(worker, "preload", told.extend)
        monkeypatch.setenv("EDGEBUILD_STORE", str(tmp_path))
        with planned(Request(open_project(PROJECT), ("board",))) as (store, plan):
            names = [name for name in plan.graph.order() if plan.graph.label(name).endswith(ends)]
            preloading.preload(plan.graph, store, names, least)
        return told

    return forked


def test_pytorch_is_there_only_where_a_step_may_run_that_counts_its_version(modules: Callable[..., list[str]]) -> None:
    measured = modules("/latency", "/judge", "/bundle")
    assert measured[0] == "numpy"
    assert not any(module.startswith("torch") for module in measured)
    assert modules("/latency", "/float")[:2] == ["numpy", "torch"]
    assert {name: os.environ[name] for name in QUIET} == QUIET


def test_the_modules_of_the_steps_that_may_run_are_there(modules: Callable[..., list[str]]) -> None:
    ahead = modules("/judge", "onnx/convert")
    assert {"edgebuild.steps.evidence.judge", "edgebuild.steps.convert"} <= {*ahead}
    assert "edgebuild.steps.train" not in ahead


def test_what_a_format_converts_with_is_there_where_several_steps_may_run_that_do(
    modules: Callable[..., list[str]],
) -> None:
    ahead = {*FORMATS.get("onnx").preloads}
    assert ahead
    assert not ahead & {*modules("onnx/convert")}
    assert ahead <= {*modules("onnx/convert", least=1)}


def test_a_worker_that_many_steps_run_on_is_forked_with_what_any_format_converts_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(worker, "preload", told.extend)
    preloading.preload_all()
    assert told[:2] == ["numpy", "torch"]
    assert {module for kind in FORMATS.usable().values() for module in kind.preloads} <= {*told}
    assert "onnxscript" in told
