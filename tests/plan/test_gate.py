"""The plan of a gate on a finished bundle: against the float model, and against an earlier release."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import cache_folder
from edgebuild.engine.store import Store
from edgebuild.plan import gate
from edgebuild.plan.gate import Against, Subject
from edgebuild.plan.instruments import addressed
from edgebuild.spec.artifact import Artifact
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
    floats = Against("float", kept(store, "tflite", "model.tflite", b"float"), {})
    release = Against("v1", candidate, {})
    subject = Subject(target, PROJECT.model("digits"), Policy(), "tflite", candidate, floats, release, data)
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
