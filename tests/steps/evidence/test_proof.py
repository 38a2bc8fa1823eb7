"""What a technique bought and cost: a gain is believed at once, a cost only when it is proved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.gates.statistics.paired import Bound
from edgebuild.gates.statistics.ratio import Shift
from edgebuild.spec import evidence
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.evidence import ONLY, CacheWork, Counted, Footprint, Operators, Proved, SharedWork, State, Weight
from edgebuild.steps.evidence.proof import Proof
from tests import tiny
from tests.steps.evidence import folders

BEFORE = State(1000, 700, 5000, 900, None, 1.0)
NOTHING = SharedWork(0.0, 0.0, Operators(0, 1, 1))
SAME = Bound(0.0, -0.01, 0.01)
MODEL = TimeModel("cortex-a72", 2e9, {"l1d": 0.0}, (Band(1, 0.3),), 0.25, ("a source",))


def weigh(drop: Bound = SAME, **after: float) -> Proved:
    changed = replace(BEFORE, **after)  # type: ignore[arg-type]  # sizes are whole numbers
    return Proof(("x",), (0, 0), MODEL).weigh("x", BEFORE, changed, {ONLY: drop}, band=0.25)


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
    proved = weigh(**after)
    assert ([*proved.gains], [*proved.costs], proved.useless) == (gains, costs, bool(costs) and not gains)


def test_the_more_two_states_share_the_less_time_is_a_cost_that_is_proved() -> None:
    slower = replace(BEFORE, seconds=1.05)
    for band, costs in ((0.25, []), (0.06, []), (0.04, ["seconds"]), (0.0, ["seconds"])):
        assert [*Proof(("x",), (0, 0), MODEL).weigh("x", BEFORE, slower, {ONLY: SAME}, band=band).costs] == costs


def test_accuracy_counts_only_beyond_its_interval() -> None:
    assert weigh(Bound(0.02, 0.001, 0.04)).costs == ("accuracy",)
    assert weigh(Bound(0.02, 0.0, 0.04)).costs == ()
    assert weigh(Bound(-0.02, -0.04, -0.001)).gains == ("accuracy",)


def test_the_answers_of_every_head_count() -> None:
    worse, better = Bound(0.02, 0.001, 0.04), Bound(-0.02, -0.04, -0.001)
    proved = Proof(("x",)).weigh("x", BEFORE, BEFORE, {"kind": SAME, "place": worse})
    assert (proved.costs, proved.useless) == (("accuracy",), True)
    both = Proof(("x",)).weigh("x", BEFORE, BEFORE, {"kind": better, "place": worse})
    assert (both.gains, both.costs, both.useless) == (("accuracy",), ("accuracy",), False)


def test_without_counted_work_nothing_is_said_of_time() -> None:
    proof = Proof(("x",))
    before = replace(BEFORE, seconds=None)
    assert proof.weigh("x", before, replace(before, bytes=2000), {ONLY: SAME}).costs == ("bytes",)


def test_states_are_compared_each_with_the_one_before(tmp_path: Path) -> None:
    labels = np.zeros(100, int)
    right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
    inputs = {"data": folders.data(tmp_path / "data", labels, "validation")}
    for number, (size, answers) in enumerate([(1000, right), (400, wrong), (400, right)]):
        made = tmp_path / f"made{number}"
        made.mkdir()
        (made / "weights.safetensors").write_bytes(np.random.default_rng(number).bytes(size))
        counted = Counted(2 * size, {}, {"l1d": CacheWork(0, 0), "l2": CacheWork(0, 0)}, float(size), 1.0)
        weight = Weight(size, size, size // 4, size)
        inputs |= {
            f"made/{number}": ("torch", made),
            f"footprint/{number}": folders.evidence(tmp_path / f"footprint{number}", Footprint(weight, weight)),
            f"count/{number}": folders.evidence(tmp_path / f"count{number}", counted),
            f"outputs/{number}": folders.outputs(tmp_path / f"outputs{number}", answers),
            f"shared/{number}": folders.evidence(tmp_path / f"shared{number}", NOTHING),
        }
    step = replace(Proof(("prune", "tune"), (0, 1, 1), MODEL), clock=1000.0)
    prune, tune = folders.read(evidence.Proof, tiny.perform(step, tmp_path / "proof", inputs)).steps
    assert (prune.step, prune.gains, prune.costs) == ("prune", ("bytes", "compressed", "seconds"), ("accuracy",))
    assert (tune.step, tune.gains, tune.costs, tune.useless) == ("tune", ("accuracy",), (), False)
    assert (prune.before.seconds, prune.after.seconds) == (1.0, 0.4)
    assert (prune.drops[ONLY].estimate, tune.drops[ONLY].estimate) == (1.0, -1.0)
    assert tune.before == prune.after


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
    proved = Proof(("x",), (0, 1)).weigh("x", BEFORE, BEFORE, {ONLY: SAME}, slower)
    assert ([*proved.gains], [*proved.costs]) == (gains, costs)
