"""Gates of a model with several heads: one for each that has the metric, or the one that a gate names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebuild.plan.limits import gates_of, regressions_of, resampled
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_target
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.target import Gate, Policy, Target
from tests import tiny

SCENE = tiny.spec("scene")
TARGET = """
description = "A board"
runtimes = [{format = "onnx"}]
devices = [{transport = "local"}]
[hardware]
arch = "host"
cpu = "some"
"""


def target(folder: Path, *gates: str) -> Target:
    (folder / "board.toml").write_text(TARGET + "".join(f"[[gates]]\n{gate}\n" for gate in gates))
    return read_target(folder / "board.toml", "targets/board.toml")


def judged(folder: Path, *gates: str, model: ModelSpec = SCENE) -> list[tuple[str, str | None]]:
    return [(gate.metric, gate.output) for gate in gates_of(target(folder, *gates), model, Policy())]


ACCURACY, MAE, PARITY, SIZE = (
    f'metric = "{metric}"\nlimit = "{limit}"'
    for metric, limit in (("accuracy", "1 pp"), ("mae", "5 %"), ("parity", "1e-3"), ("size", "-10 %"))
)


def test_a_gate_on_answers_is_one_for_each_head_that_has_its_metric(tmp_path: Path) -> None:
    found = judged(tmp_path, ACCURACY, MAE, PARITY, SIZE)
    assert found == [("accuracy", "kind"), ("mae", "place"), ("parity", None), ("size", None)]
    assert judged(tmp_path, ACCURACY, model=tiny.spec("tiny")) == [("accuracy", None)]


def test_of_two_heads_of_one_task_each_has_its_gate_and_one_may_be_named(tmp_path: Path) -> None:
    place = SCENE.declared.outputs
    assert isinstance(place, tuple)
    more = (*place, replace(place[0], name="mood"))
    model = replace(SCENE, declared=replace(SCENE.declared, outputs=more))
    assert judged(tmp_path, ACCURACY, model=model) == [("accuracy", "kind"), ("accuracy", "mood")]
    assert judged(tmp_path, f'{ACCURACY}\noutput = "mood"', model=model) == [("accuracy", "mood")]


def test_parity_may_be_narrowed_to_any_output_and_says_more_there_only_if_it_is_stricter(tmp_path: Path) -> None:
    strict = f'{PARITY}\noutput = "features"'.replace("1e-3", "1e-4")
    assert judged(tmp_path, PARITY, strict) == [("parity", None), ("parity", "features")]
    with pytest.raises(UsageError, match=r"'1e-3' says nothing beside '1e-3' on the same metric"):
        judged(tmp_path, PARITY, f'{PARITY}\noutput = "features"')


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        (f'{SIZE}\noutput = "kind"', "gates[0].output: 'size' is about no output (leave output out)"),
        (f'{ACCURACY}\noutput = "knid"', "gates[0].output: the model has no output 'knid' (did you mean 'kind'?"),
        (
            f'{ACCURACY}\noutput = "place"',
            "gates[0].output: the model has no output with the metric 'accu",
        ),
        (f'{PARITY}\noutput = "map"', "gates[0].output: the model has no output 'map' (known: features, kind, pla"),
        (
            'metric = "cosine"\nlimit = "0.01"',
            "gates[0].metric: 'cosine' does not fit model 'scene', whose task is",
        ),
    ],
)
def test_an_output_that_means_nothing_is_refused_with_its_key(tmp_path: Path, gate: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        judged(tmp_path, gate)
    assert caught.value.line.startswith(f"targets/board.toml: {told}")


def test_between_releases_the_same_heads_are_held(tmp_path: Path) -> None:
    found = regressions_of(target(tmp_path, ACCURACY, SIZE), SCENE, Policy())
    assert [(gate.metric, gate.output) for gate in found] == [("accuracy", "kind"), ("size", None)]


def test_the_bootstrap_takes_each_head_with_its_own_metrics() -> None:
    gates = (Gate("f1", "1 pp", 0.9, output="kind"), Gate("mae", "5 %", 0.9, output="place"))
    assert resampled(gates, SCENE.declared.heads) == (
        ("kind", "f1", 0.9), ("place", "mae", 0.9), ("place", "correlation", 0.95),
    )  # fmt: skip


def test_the_policys_gates_of_both_tasks_hold(tmp_path: Path) -> None:
    policy = Policy(tuple(_spec(metric, limit) for metric, limit in (("accuracy", "1 pp"), ("cosine", "0.01"))), "p")
    found = gates_of(replace(target(tmp_path), policy=True), SCENE, policy)
    assert [(gate.metric, gate.output) for gate in found] == [("accuracy", "kind")]


def _spec(metric: str, limit: str) -> Any:
    from edgebuild.spec.target import GateSpec

    return GateSpec(metric, limit)
