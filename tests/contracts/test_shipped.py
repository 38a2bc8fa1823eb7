"""What every target and model that is shipped owes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebuild.engine.store import Store
from edgebuild.nn.source import Source
from edgebuild.plan import planner
from edgebuild.spec.project import open_project

ROOT = Path(__file__).parent.parent.parent
PROJECT = open_project(ROOT)
TARGETS = sorted(path.stem for path in (ROOT / "targets").glob("*.toml"))
MODELS = sorted(path.parent.name for path in (ROOT / "models").glob("*/model.toml"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_model_can_be_planned_for_every_target(store: Store, target: str, model: str) -> None:
    plan = planner.make(store, [PROJECT.target(target)], [PROJECT.model(model)], TARGETS)
    (product,) = plan.products
    assert plan.graph.label(product.bundle) == f"{target}/{model}/bundle"
    assert plan.graph.label(product.verdicts) == f"{target}/{model}/judge"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_says_what_it_is_and_holds_a_release_to_what_a_release_is_about(target: str) -> None:
    found = PROJECT.target(target)
    assert found.description
    assert {gate.metric for gate in found.gates} >= {"accuracy", "latency", "parity", "size"}
    assert {measured for device in found.devices for measured in device.measures} | {"latency"} == {
        "outputs",
        "latency",
    }
    assert found.hardware.roofline or any("latency" in device.measures for device in found.devices)


@pytest.mark.parametrize("model", MODELS)
def test_a_models_folder_has_the_functions_that_its_file_names(model: str) -> None:
    spec = PROJECT.model(model)
    source = Source(spec.folder, f"models/{model}")
    declared = spec.declared
    for name in filter(None, (declared.data, declared.augment)):
        source.function(name, "model.toml")
    source.build(declared.builder, declared.inputs, declared.width)
    if declared.teacher:
        source.build(declared.teacher.builder, declared.inputs, declared.width)
