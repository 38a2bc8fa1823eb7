"""What every target and model that is shipped owes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from edgebuild.engine import keys
from edgebuild.engine.store import Store
from edgebuild.nn.model_code import ModelCode
from edgebuild.plan import planner
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.limits import gates_of
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import FIDELITIES
from tests import ROOT, tiny

PROJECT = open_project(ROOT)
TARGETS = sorted(path.stem for path in (ROOT / "targets").glob("*.toml"))
MODELS = sorted(path.parent.name for path in (ROOT / "models").glob("*/model.toml"))
USUAL = [model for model in MODELS if not PROJECT.model(model).declared.by_name]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


@pytest.mark.parametrize("model", sorted({*MODELS} - {*USUAL}))
def test_a_model_by_name_can_be_planned_or_says_what_to_install_or_to_set(store: Store, model: str) -> None:
    target = replace(PROJECT.target("rpi4"), recipe=PROJECT.recipe("int8"))
    try:
        plan = planner.make(store, [target], [PROJECT.model(model)], TARGETS, PROJECT.policy())
    except UsageError as error:
        assert "pip install" in error.line or "which is not set" in error.line  # noqa: PT017
        return
    assert plan.products


@pytest.mark.parametrize("model", USUAL)
@pytest.mark.parametrize("target", TARGETS)
def test_every_model_can_be_planned_for_every_target(store: Store, target: str, model: str) -> None:
    plan = planner.make(store, [PROJECT.target(target)], [PROJECT.model(model)], TARGETS, PROJECT.policy())
    (product,) = plan.products
    assert plan.graph.label(product.bundle) == f"{target}/{model}/bundle"
    assert plan.graph.label(product.verdicts) == f"{target}/{model}/judge"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_says_what_it_is_and_what_its_devices_can_give_and_no_more(target: str) -> None:
    """What a release must prove is the policy's business: a target's own taste fits one model alone."""
    found = PROJECT.target(target)
    assert found.description
    assert (found.gates, found.regressions) == ((), ())
    assert found.recipe.name
    assert {measured for device in found.devices for measured in device.measures} | {"latency"} == {
        "outputs",
        "latency",
    }
    assert found.hardware.roofline or any("latency" in device.measures for device in found.devices)
    for what in ("outputs", "latency"):
        able = [instrument for spec, instrument in Instruments(found).declared if what in spec.measures]
        assert not able or max(FIDELITIES.index(one.fidelity) for one in able) == FIDELITIES.index(
            getattr(found.fidelity, what)
        )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", ["tiny", "centre", "arrows"])
def test_a_newcomers_model_is_held_to_what_any_model_can_keep(target: str, model: str) -> None:
    """No metric is left to chance, and no limit asks for more than that nothing got worse."""
    spec = tiny.spec(model)
    quality = {"classification": ("accuracy", "1 pp"), "regression": ("mae", "5 %"), "embedding": ("cosine", "0.01")}
    limits = {gate.metric: gate.limit for gate in gates_of(PROJECT.target(target), spec, PROJECT.policy())}
    metric, limit = quality[spec.declared.heads[0].task]
    ram = limits.pop("ram", None)
    assert limits == {metric: limit, "parity": "1e-3", "size": "+0 %", "latency": "+3 %, predicted +35 %"}
    assert (ram is None) == (PROJECT.target(target).hardware.ram is None)


def test_digits_must_prove_more_on_the_pi_than_the_policy_asks() -> None:
    gates = gates_of(PROJECT.target("rpi4"), PROJECT.model("digits"), PROJECT.policy())
    asked = {gate.metric: (gate.limit, gate.fidelity) for gate in gates}
    assert asked["size"] == ("160 KiB", "host")
    assert asked["latency"] == ("-50 %", "emulated")
    assert asked["accuracy"] == ("1 pp", "emulated")
    assert asked["ram"] == ("4 GiB", "host")


@pytest.mark.parametrize("model", MODELS)
def test_a_models_folder_has_the_functions_that_its_file_names(model: str) -> None:
    spec = PROJECT.model(model)
    source = ModelCode(spec.folder, f"models/{model}")
    declared = spec.declared
    for name in (declared.data, declared.augment):
        if isinstance(name, str):
            source.function(name, "model.toml")
    if declared.builder and all(keys.version(name) != "absent" for name in declared.tools):  # extras of those by name
        source.build(declared.builder, declared.inputs, declared.signature.outputs)
    if declared.teacher:
        source.build(declared.teacher.builder, declared.inputs, declared.signature.outputs)
