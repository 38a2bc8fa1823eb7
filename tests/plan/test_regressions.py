"""The gates between two releases: the target's own, else the usual ones of its metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.plan.limits import regressions_of
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_target
from edgebuild.spec.target import Gate, Policy
from tests import tiny
from tests.plan.conftest import TARGET

MODEL = tiny.spec("tiny")


def regressions(tmp_path: Path, more: str = "", gates: str = "", *, counted: bool = False) -> tuple[Gate, ...]:
    lines = [line for line in TARGET.splitlines() if not (gates and line.startswith("gates"))]
    path = tmp_path / "board.toml"
    path.write_text("\n".join([*lines, *([f"gates = {gates}"] if gates else []), more]))
    return regressions_of(read_target(path, "targets/board.toml"), MODEL, Policy(), counted=counted)


def test_each_metric_has_its_usual_limit_with_the_gates_own_demands(tmp_path: Path) -> None:
    gates = """[
        {metric = "accuracy", limit = "3 pp", confidence = 0.99},
        {metric = "size", limit = "-90 %"},
        {metric = "parity", limit = "1e-3"},
        {metric = "latency", limit = "-50 %", fidelity = "hardware"},
        {metric = "latency", limit = "40 ms", fidelity = "hardware"},
    ]""".replace("\n", "")
    assert regressions(tmp_path, gates=gates) == (
        Gate("accuracy", "1 pp", confidence=0.995),  # the better of two formats ships
        Gate("size", "+1 %", confidence=0.975),
        Gate("latency", "+3 %", confidence=0.975, fidelity="hardware"),
    )


def test_where_work_is_counted_it_stands_for_the_time_that_would_be_predicted_from_it(tmp_path: Path) -> None:
    gates = '[{metric = "latency", limit = "-50 %", fidelity = "emulated"}, {metric = "instructions", limit = "9 M"}]'
    assert regressions(tmp_path, gates=gates, counted=True) == (
        Gate("instructions", "+1 %", confidence=0.975, fidelity="emulated"),
        Gate("instructions", "+1 %", confidence=0.975),
    )
    declared = 'regressions = [{metric = "latency", limit = "+5 %"}]'
    assert [gate.metric for gate in regressions(tmp_path, declared, counted=True)] == ["latency"]


def test_what_the_target_declares_replaces_all_of_them(tmp_path: Path) -> None:
    assert regressions(tmp_path, 'regressions = [{metric = "size", limit = "1 MiB"}]') == (
        Gate("size", "1 MiB", confidence=0.975),
    )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('regressions = [{metric = "weight", limit = "1 %"}]', r"regressions\[0\].metric: unknown metric"),
        ('regressions = [{metric = "size", limit = "1"}]', r"regressions\[0\].limit: .*no unit"),
        ('regressions = [{metric = "mae", limit = "1"}]', r"does not fit model|limit"),
    ],
)
def test_a_wrong_one_names_itself(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        regressions(tmp_path, more)


def test_a_target_whose_gates_say_nothing_of_two_releases_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no gate that holds between two releases .*\[\[regressions\]\]"):
        regressions(tmp_path, gates='[{metric = "parity", limit = "1e-3"}]')
