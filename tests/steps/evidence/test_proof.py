"""What a technique bought and cost: a gain is believed at once, a cost only when it is proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.gates.statistics.paired import Bound
from edgebuild.gates.statistics.ratio import Shift
from edgebuild.spec.core import TimeModel
from edgebuild.steps.evidence.proof import Proof
from tests import tiny
from tests.steps.evidence import folders

BEFORE = {"bytes": 1000, "compressed": 900, "seconds": 1.0}
SAME = Bound(0.0, -0.01, 0.01)
MODEL = TimeModel("cortex-a72", 2e9, {"l1d": 0.0}, ((1, 0.3),), 0.25, ("a source",))


def weigh(drop: Bound = SAME, **after: float) -> dict[str, Any]:
    found = Proof(("x",), (0, 0), MODEL).weigh(BEFORE, BEFORE | after, drop, band=0.25)
    return {name: found[name] for name in ("gains", "costs", "useless")}


@pytest.mark.parametrize(
    ("after", "gains", "costs"),
    [
        ({}, [], []),
        ({"bytes": 985}, ["bytes"], []),
        ({"bytes": 995}, [], []),
        ({"bytes": 1005}, [], []),
        ({"bytes": 1020}, [], ["bytes"]),
        ({"seconds": 0.98}, ["seconds"], []),
        ({"seconds": 1.24}, [], []),  # inside the band of the time model: not proved
        ({"seconds": 1.26}, [], ["seconds"]),
        ({"compressed": 870}, ["compressed"], []),
        ({"compressed": 880}, [], []),
        ({"bytes": 500, "seconds": 2.0}, ["bytes"], ["seconds"]),
    ],
)
def test_what_counts_as_gain_and_as_cost(after: dict[str, float], gains: list[str], costs: list[str]) -> None:
    assert weigh(**after) == {"gains": gains, "costs": costs, "useless": bool(costs) and not gains}


def test_the_more_two_states_share_the_less_time_is_a_cost_that_is_proved() -> None:
    slower = BEFORE | {"seconds": 1.05}
    for band, costs in ((0.25, []), (0.06, []), (0.04, ["seconds"]), (0.0, ["seconds"])):
        assert Proof(("x",), (0, 0), MODEL).weigh(BEFORE, slower, SAME, band=band)["costs"] == costs


def test_accuracy_counts_only_beyond_its_interval() -> None:
    assert weigh(Bound(0.02, 0.001, 0.04))["costs"] == ["accuracy"]
    assert weigh(Bound(0.02, 0.0, 0.04))["costs"] == []
    assert weigh(Bound(-0.02, -0.04, -0.001))["gains"] == ["accuracy"]


def test_without_counted_work_nothing_is_said_of_time() -> None:
    proof = Proof(("x",))
    before = {name: value for name, value in BEFORE.items() if name != "seconds"}
    assert proof.weigh(before, before | {"bytes": 2000}, SAME)["costs"] == ["bytes"]


def test_states_are_compared_each_with_the_one_before(tmp_path: Path) -> None:
    labels = np.zeros(100, int)
    right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
    inputs = {"data": folders.data(tmp_path / "data", labels, "validation")}
    for number, (size, answers) in enumerate([(1000, right), (400, wrong), (400, right)]):
        made = tmp_path / f"made{number}"
        made.mkdir()
        (made / "weights.safetensors").write_bytes(np.random.default_rng(number).bytes(size))
        counted = {"instructions": 2 * size, "cycles": size, "caches": {"l1d": {"misses": 0}, "l2": {"misses": 0}}}
        footprint = {"candidate": {"bytes": size, "download": size, "parameters": size // 4, "macs": size}}
        inputs |= {
            f"made/{number}": ("torch", made),
            f"footprint/{number}": folders.evidence(tmp_path / f"footprint{number}", footprint),
            f"count/{number}": folders.evidence(tmp_path / f"count{number}", counted),
            f"outputs/{number}": folders.outputs(tmp_path / f"outputs{number}", answers),
            f"shared/{number}": folders.evidence(tmp_path / f"shared{number}", {"candidate": 0.0, "baseline": 0.0}),
        }
    step = replace(Proof(("prune", "tune"), (0, 1, 1), MODEL), clock=1000.0)
    prune, tune = json.loads((tiny.perform(step, tmp_path / "proof", inputs) / "evidence.json").read_text())["steps"]
    assert (prune["step"], prune["gains"], prune["costs"]) == (
        "prune",
        ["bytes", "compressed", "seconds"],
        ["accuracy"],
    )
    assert (tune["step"], tune["gains"], tune["costs"], tune["useless"]) == ("tune", ["accuracy"], [], False)
    assert (prune["before"]["seconds"], prune["after"]["seconds"]) == (1.0, 0.4)
    assert (prune["drop"]["estimate"], tune["drop"]["estimate"]) == (1.0, -1.0)
    assert tune["before"] == prune["after"]


@pytest.mark.parametrize(
    ("slower", "gains", "costs"),
    [
        (Shift(-0.3, -0.4, -0.2), ["seconds"], []),
        (Shift(-0.02, -0.1, 0.1), ["seconds"], []),
        (Shift(0.3, -0.1, 0.5), [], []),  # not proved
        (Shift(0.3, 0.005, 0.5), [], []),  # proved, but perhaps not noticeable
        (Shift(0.3, 0.02, 0.5), [], ["seconds"]),
    ],
)
def test_measured_time_is_a_cost_only_beyond_its_interval(slower: Shift, gains: list[str], costs: list[str]) -> None:
    found = Proof(("x",), (0, 1)).weigh(BEFORE, BEFORE, SAME, slower)
    assert (found["gains"], found["costs"]) == (gains, costs)
