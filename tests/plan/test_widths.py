"""A budget of time plans its own measurement, whose key holds shapes, runtime and core but no weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import cache_folder
from edgebuild.engine.graph import Node
from edgebuild.engine.store import Store
from edgebuild.nn.restructure.decoupling import Separated
from edgebuild.plan import planner
from edgebuild.plan.planner import Plan
from edgebuild.spec.project import open_project
from edgebuild.spec.target import DeviceSpec, Recipe, StepSpec, Target
from edgebuild.steps.evidence.layer_shapes import LayerShapes
from edgebuild.steps.evidence.layer_times import LayerTimes
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.separable import Separable
from tests import ROOT

TIMED = StepSpec("prune_channels", {"budget": {"time": 0.5}})


def plan(store: Store, target: Target, *steps: StepSpec) -> Plan:
    project = open_project(ROOT)
    asked = replace(target, recipe=Recipe(steps))
    return planner.make(store, [asked], [project.model("digits")], [*project.target_files()], project.policy())


def nodes(made: Plan, kind: type[Any]) -> list[Node]:
    return [node for node in made.graph.nodes.values() if type(node.step) is kind]


def test_times_are_counted_for_each_runtime_from_shapes_alone(store: Store) -> None:
    sysroot.prepare(cache_folder())
    made = plan(store, open_project(ROOT).target("rpi4"), TIMED)
    (shapes,), times, (prune,) = (nodes(made, kind) for kind in (LayerShapes, LayerTimes, PruneChannels))
    assert {node.step.format for node in times} == {"tflite", "onnx"}  # type: ignore[attr-defined]
    assert all({*node.inputs.values()} == {shapes.identity} for node in times)
    assert {*prune.inputs} == {"model", "data", "widths/tflite", "widths/onnx"}
    assert shapes.inputs["model"] == prune.inputs["model"]


def test_they_are_counted_in_the_numbers_that_are_shipped(store: Store) -> None:
    sysroot.prepare(cache_folder())
    made = plan(store, open_project(ROOT).target("rpi4"), TIMED, StepSpec("int8", {"keep": ["head"]}))
    for node in nodes(made, LayerTimes):
        how = node.step.quantization  # type: ignore[attr-defined]
        assert (how.technique, how.keep) == ("static", ())


def test_where_nothing_counts_there_is_nothing_to_connect(store: Store) -> None:
    target = replace(open_project(ROOT).target("rpi4"), devices=(DeviceSpec("local"),))
    made = plan(store, target, TIMED)
    assert not nodes(made, LayerTimes)
    (prune,) = nodes(made, PruneChannels)
    assert {*prune.inputs} == {"model", "data"}


def test_a_ratio_asks_for_no_times(store: Store) -> None:
    made = plan(store, open_project(ROOT).target("rpi4"), StepSpec("prune_channels", {"ratio": 0.5}))
    assert not nodes(made, LayerTimes)


def test_what_may_stand_in_a_model_is_counted_too_as_wide_as_it_is(store: Store) -> None:
    sysroot.prepare(cache_folder())
    made = plan(store, open_project(ROOT).target("rpi4"), StepSpec("separable", {}), StepSpec("int8", {}))
    ((shapes,), times, (separable,)) = (nodes(made, kind) for kind in (LayerShapes, LayerTimes, Separable))
    assert shapes.step == LayerShapes(Separated(1))
    assert shapes.code == (Separated.__module__,)
    assert all(node.step.multiple is None and node.step.quantization for node in times)  # type: ignore[attr-defined]
    assert {*separable.inputs} == {"model", "data", "widths/tflite", "widths/onnx"}
