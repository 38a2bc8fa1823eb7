"""How a search measures: by no example that judges, without training, with a little of it, and then whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.trying import Look, Subject, Trying
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_policy, read_target
from edgebuild.spec.target import Recipe, StepSpec
from tests import ROOT, tiny
from tests.core import CORE
from tests.plan.project import EMULATED, TIMED

PRUNED, TAUGHT = StepSpec("prune_channels", {"ratio": 0.5}), StepSpec("distill", {"epochs": 18})
INT8, QAT = StepSpec("int8", {}), StepSpec("qat", {"epochs": 2})
RECIPE = Recipe((PRUNED, TAUGHT, QAT, INT8))


def trying(folder: Path, store: Store, target: str = TIMED) -> Trying:
    (folder / "board.toml").write_text(target)
    policy = read_policy(ROOT / "policies" / "default.toml", "policies/default.toml")
    subject = Subject.of(read_target(folder / "board.toml", "targets/board.toml"), tiny.spec("tiny"), policy)
    return Trying(Graph(), store, subject, Instruments(subject.target))


def steps(trying: Trying, look: Look) -> list[str]:
    """The kinds of the steps that a look needs, in order."""
    goals = look.evidence.values()
    items = dict.fromkeys(item for goal in goals for item in (*trying.graph.upstream(goal), goal))
    return [type(trying.graph.nodes[item].step).__name__ for item in items]


def test_nothing_that_measures_has_the_examples_that_judge(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    looks = [plan.counted(RECIPE, "0"), plan.answered(RECIPE, "onnx", "1", again=True)]
    plan.graph.keep(item for look in looks for item in look.evidence.values())
    data = plan.weights.data
    readers = {type(node.step).__name__ for node in plan.graph.nodes.values() if data in node.inputs.values()}
    assert readers == {"Train", "Distill", "Qat", "Int8", "ChooseBy"}


def test_what_is_counted_is_counted_of_what_nothing_was_taught(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    look = plan.counted(RECIPE, "0")
    kinds = steps(plan, look)
    assert look.formats == ("onnx", "tflite")
    assert "PruneChannels" in kinds
    assert "Int8" in kinds
    assert not {"Distill", "Qat", "Outputs", "Accuracy", "Parity"} & {*kinds}
    made = {(type(plan.graph.nodes[item].step).__name__, place) for item, place in look.places.items()}
    assert made == {("PruneChannels", 0), ("Int8", 3)}  # places in the recipe with its trainings


def test_answers_are_those_of_one_format_and_are_counted_again_where_asked(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    kinds = steps(plan, look := plan.answered(RECIPE, "tflite", "0"))
    assert {role.partition("/")[2] for role in look.evidence} == {"tflite"}
    assert {"Distill", "Qat", "Accuracy", "Parity"} <= {*kinds}
    assert "Latency" not in kinds
    alone = steps(plan, plan.answered(RECIPE, "tflite", "2", alone=True))
    assert {*kinds} - {*alone} == {"TorchOutputs", "Parity", "Footprint"}
    assert "Latency" in steps(plan, plan.answered(RECIPE, "tflite", "1", again=True))


def test_a_short_recipe_has_a_sixth_of_the_epochs_or_is_none(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    short = plan.short(RECIPE)
    assert short is not None
    assert [dict(line.options) for line in short.steps] == [{"ratio": 0.5}, {"epochs": 3}, {"epochs": 1}, {}]
    assert plan.short(Recipe((INT8,))) is None
    assert [line.use for line in plan.untrained(RECIPE).steps] == ["prune_channels", "int8"]


def test_two_recipes_share_what_they_have_in_common(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    plan.counted(Recipe((PRUNED, INT8)), "0")
    before = {*plan.graph.nodes}
    plan.counted(Recipe((PRUNED, StepSpec("float16", {}))), "1")
    more = {type(plan.graph.nodes[item].step).__name__ for item in plan.graph.nodes.keys() - before}
    assert more == {"Float16", "Footprint", "Arena", "Latency"}
    once = {*plan.graph.nodes}
    plan.counted(Recipe((PRUNED, TAUGHT, INT8)), "2")  # what is counted of it is what was counted without training
    assert {*plan.graph.nodes} == once


def test_answers_of_an_emulated_target_are_this_machines_and_its_time_is_its_own(tmp_path: Path, store: Store) -> None:
    assert CORE in EMULATED
    plan = trying(tmp_path, store, EMULATED)
    devices = plan._instruments.target.devices
    assert [(spec.transport, spec.measures) for spec in devices] == [("qemu", ("latency",)), ("local", ("outputs",))]


def test_a_recipe_that_cannot_be_planned_says_why(tmp_path: Path, store: Store) -> None:
    plan = trying(tmp_path, store)
    with pytest.raises(UsageError, match="'float16' cannot follow 'int8'"):
        plan.check(Recipe((INT8, StepSpec("float16", {}))))
