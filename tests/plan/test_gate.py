"""The plan of a gate on a finished bundle: against the float model, and against an earlier release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import cache_folder
from edgebuild.engine.store import Store
from edgebuild.plan import gate
from edgebuild.plan.gate import Against, Shipped, Subject
from edgebuild.plan.instruments import addressed
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import file_name
from edgebuild.spec.project import open_project
from edgebuild.spec.target import GateSpec, Policy, Target
from tests import ROOT

PROJECT = open_project(ROOT)
GATES = (GateSpec("accuracy", "1 pp", fidelity="emulated"), GateSpec("latency", "-50 %", fidelity="emulated"))


def kept(store: Store, kind: str, name: str, content: bytes) -> Artifact:
    folder = store.scratch("made") / content.decode()
    folder.mkdir()
    (folder / name).write_bytes(content)
    return store.put(folder, kind)


def plan(store: Store, target: Target) -> gate.GatePlan:
    """A gate on a bundle that is held against itself."""
    candidate, data = kept(store, "tflite", "model.tflite", b"ours"), kept(store, "data", "data.json", b"examples")
    floats = Against("float", Shipped({"": kept(store, "tflite", "model.tflite", b"float")}), {})
    ours = Shipped({"": candidate})
    release = Against("v1", ours, {})
    subject = Subject(target, PROJECT.model("digits"), Policy(), "tflite", ours, floats, release, data)
    return gate.make(store, subject)


def test_on_an_emulated_device_a_release_is_held_to_counted_work_and_on_a_board_to_time(store: Store) -> None:
    sysroot.prepare(cache_folder())
    pi = replace(PROJECT.target("rpi4"), name="pi", gates=GATES, regressions=())
    metrics = {}
    for name, target in {"pi": pi, "board": replace(pi, devices=(addressed("local"),))}.items():
        made = plan(store, target)
        steps = [made.graph.nodes[item.verdicts].step for item in made.compared]
        metrics[name] = [[each.metric for each in step.gates] for step in steps]  # type: ignore[attr-defined]
    assert metrics["pi"] == [["accuracy", "latency"], ["accuracy", "instructions"]]
    assert metrics["board"] == [["accuracy", "latency"], ["accuracy", "latency"]]


def test_the_judge_sees_both_files_and_so_whether_they_are_one(store: Store) -> None:
    made = plan(store, replace(PROJECT.target("rpi4"), gates=GATES, devices=(addressed("local"),)))
    same = []
    for item in made.compared:
        inputs = made.graph.nodes[item.verdicts].inputs
        digests = {made.graph.sources[inputs[f"{role}/tflite"]].digest for role in ("candidate", "baseline")}
        same.append(len(digests) == 1)
    assert same == [False, True]


def joined(store: Store, name: bytes) -> Shipped:
    """A cascade of two files; what has another name has other files."""
    parts = {part: kept(store, "tflite", "model.tflite", name + part.encode()) for part in ("small", "large")}
    return Shipped(parts, "cascade", kept(store, "rule", "rule.json", b"rule of " + name))


def against(store: Store, target: Target, ours: Shipped, theirs: Shipped) -> gate.GatePlan:
    data = kept(store, "data", "data.json", b"examples")
    floats = Against("float", Shipped({"": kept(store, "tflite", "model.tflite", b"float")}), {})
    built = {"joined": kept(store, "evidence", "evidence.json", b"told")}
    subject = Subject(target, PROJECT.model("digits"), Policy(), "tflite", ours,
                      replace(floats, carried=built), Against("v1", theirs, built), data)  # fmt: skip
    return gate.make(store, subject)


def test_several_files_are_counted_together_on_both_sides(store: Store) -> None:
    sysroot.prepare(cache_folder())
    pi = replace(PROJECT.target("rpi4"), name="pi", gates=GATES, regressions=())
    made = against(store, pi, joined(store, b"ours"), joined(store, b"theirs"))
    nodes = made.graph.nodes
    for item, theirs in zip(made.compared, ("count", "joined_count"), strict=True):
        latency = nodes[item.evidence["latency"]].inputs
        counted = [file_name(type(nodes[latency[f"{role}/tflite"]].step)) for role in ("candidate", "baseline")]
        assert counted == ["joined_count", theirs]
        outputs = nodes[nodes[item.evidence["accuracy/tflite"]].inputs["baseline"]]
        assert file_name(type(outputs.step)) == theirs.replace("count", "outputs")


def test_several_files_are_timed_part_by_part_on_both_sides(store: Store) -> None:
    board = replace(PROJECT.target("rpi4"), gates=GATES, regressions=(), devices=(addressed("local"),))
    one = Shipped({"": kept(store, "tflite", "model.tflite", b"one")})
    made = against(store, board, one, joined(store, b"theirs"))
    timed = {role for role in made.graph.nodes[made.compared[1].evidence["latency"]].inputs if role != "data"}
    assert timed == {"candidate/tflite", "baseline/tflite/small", "baseline/tflite/large", "runs/baseline/tflite"}


def test_what_only_a_process_of_one_file_has_is_refused_on_either_side(store: Store) -> None:
    cold = (GateSpec("cold_start", "1 s", fidelity="host"),)
    board = replace(PROJECT.target("rpi4"), gates=GATES, regressions=cold, devices=(addressed("local"),))
    one = Shipped({"": kept(store, "tflite", "model.tflite", b"one")})
    with pytest.raises(UsageError, match="cold_start '1 s' is measured of one file in a process"):
        against(store, board, one, joined(store, b"theirs"))
