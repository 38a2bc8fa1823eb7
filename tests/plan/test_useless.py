"""Which steps a build leaves out: a shared one only where it is useless to every format."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebuild.plan.recipe import Chain, Stage, Without
from edgebuild.plan.useless import useless
from edgebuild.spec.evidence import Drop, Evidence, Judged, Proof, Proved, State, Verdicts
from edgebuild.spec.target import Runtime


def chain(name: str) -> Chain:
    """A recipe of one step on the torch model, which formats share, and one on the file."""
    stages = (Stage("distill", 0, "t", "t", "file"), Stage("int8", 1, f"int8-{name}", "t", f"int8-{name}"))
    return Chain(Runtime(name), "t", "file", f"int8-{name}", "baseline", stages)


def verdicts(**formats: tuple[bool, bool]) -> Verdicts:
    judged = {name: Judged("pass", (), Evidence(proof=proof(both))) for name, both in formats.items()}
    return Verdicts("pass", next(iter(judged)), judged)


def proof(useless: tuple[bool, bool]) -> Proof:
    state, drop = State(1, 1, 1, 1), Drop(0.0, 0.0, 0.0)
    return Proof(tuple(Proved("x", state, state, {"output": drop}, (), (), each) for each in useless), {})


@pytest.mark.parametrize(
    ("onnx", "tflite", "expected"),
    [
        ((False, False), (False, False), set()),
        ((False, True), (False, False), {("onnx", 1)}),
        ((False, True), (False, True), {("onnx", 1), ("tflite", 1)}),
        ((True, False), (False, False), set()),
        ((True, False), (True, False), {("onnx", 0), ("tflite", 0)}),
    ],
)
def test_what_is_left_out(onnx: tuple[bool, bool], tflite: tuple[bool, bool], expected: Without) -> None:
    assert useless([chain("onnx"), chain("tflite")], verdicts(onnx=onnx, tflite=tflite)) == expected


def test_what_a_later_step_cannot_stand_without_stays() -> None:
    needed = chain("onnx")
    needed = replace(needed, stages=(replace(needed.stages[0], needed=True), needed.stages[1]))
    assert useless([needed], verdicts(onnx=(True, True))) == {("onnx", 1)}
