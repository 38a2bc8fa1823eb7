"""Examples are spent where they decide: as few as a verdict takes, few where none can be had, and no more than time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgebuild.gates.accuracy import Accuracy
from edgebuild.spec import drawing
from edgebuild.spec import evidence as kinds
from edgebuild.spec.evidence import ONLY, Agreement, Differences, Evidence, Origin
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence._deciding import Deciding
from edgebuild.steps.evidence._spending import Spending
from edgebuild.steps.evidence.accuracy import counted

GATE = Gate("accuracy", "1 pp")


@dataclass
class Ran:
    """What a device has run, at `each` seconds an example."""

    n: int = 0
    each: float | None = 1.0

    @property
    def seconds(self) -> float:
        return self.n * (self.each or 0.0)


def host(lost: int, won: int, n: int) -> dict[str, Any]:
    """Right answers here, [n] bool by role, in an order that tells nothing."""
    candidate, baseline = np.ones(n, bool), np.ones(n, bool)
    candidate[:lost], baseline[lost : lost + won] = False, False
    order = np.random.default_rng(9).permutation(n)
    return {"candidate": candidate[order], "baseline": baseline[order]}


def spend(
    hits: dict[str, Any],
    most: int = 1000,
    wrong: int = 0,
    seconds: float = float("inf"),
    gates: tuple[Gate, ...] = (GATE,),
    groups: Any = None,
) -> tuple[Ran, Spending, str]:
    """Run examples until no more are wanted; on the device the first `wrong` are wrong that are right here."""
    total = len(hits["candidate"])
    there = hits["candidate"][drawing.drawn(total)]
    there[np.flatnonzero(there)[:wrong]] = False
    spending, ran = Spending(most, seconds, Deciding(gates, hits, {}, {}, groups, most)), Ran()
    while (goal := spending.goal(ran, there[: ran.n])) is not None:
        ran.n += min(100, goal - ran.n)
    return ran, spending, verdict(hits, there[: ran.n], spending, groups)


def verdict(hits: dict[str, Any], right: Any, spending: Spending, groups: Any = None) -> str:
    """What the gate says of these answers."""
    total = len(hits["candidate"])
    if len(right) == total:
        right = right[np.argsort(drawing.drawn(total))]
    answers, origin = counted(hits, {}, {}, right, groups), Origin("emulated", "that", {}, looks=spending.looks())
    agreement = Agreement(origin, len(right), total, len(right) == total, {ONLY: Differences(False, 0, 0.0, 0, 0)})
    evidence = Evidence(accuracy=kinds.Accuracy(origin, {ONLY: answers}, agreement))
    return Accuracy().judge(GATE, evidence).status


def test_a_clear_case_is_decided_by_half_as_many_at_the_first_look() -> None:
    ran, spending, status = spend(host(3, 4, 2000))
    assert (status, spending.why, spending.at) == ("pass", "decided", [ran.n])
    assert ran.n < 600


@pytest.mark.parametrize(("lost", "won"), [(3, 4), (0, 0), (60, 20), (30, 20), (22, 20), (200, 20)])
@pytest.mark.parametrize("wrong", [0, 1, 3, 60])
def test_the_verdict_is_that_of_all_examples_that_there_may_be(lost: int, won: int, wrong: int) -> None:
    hits = host(lost, won, 2000)
    ran, spending, status = spend(hits, wrong=wrong)
    there = hits["candidate"][drawing.drawn(2000)]
    there[np.flatnonzero(there)[:wrong]] = False
    assert status == verdict(hits, there[:1000], spending)
    assert ran.n <= 1000


def test_where_nothing_the_device_says_could_pass_it_is_hardly_asked() -> None:
    ran, spending, status = spend(host(60, 50, 1000))
    assert (status, ran.n) == ("inconclusive", 50)
    assert spending.why == "no 1000 examples could decide accuracy"


def test_a_proved_loss_is_decided_early_too() -> None:
    ran, _, status = spend(host(200, 20, 2000))
    assert status == "fail"
    assert ran.n <= 200


def test_a_difference_puts_the_next_look_further_off() -> None:
    ran, spending, _ = spend(host(3, 4, 2000), wrong=1)
    assert len(spending.at) > 1
    assert 500 < spending.at[0] < spending.at[1] == ran.n <= 1000


def test_time_that_cannot_decide_is_not_spent() -> None:
    ran, spending, status = spend(host(3, 4, 2000), seconds=200.0)
    assert (status, ran.n) == ("inconclusive", 100)  # what ran before it was known how long an example takes
    assert spending.cut is not None
    assert spending.cut.allowed_s == 200.0
    assert "of CPU time here, and the budget allows" in spending.why


def test_enough_time_changes_nothing() -> None:
    ran, spending, _ = spend(host(3, 4, 2000), seconds=5000.0)
    assert ran.n == spend(host(3, 4, 2000))[0].n
    assert spending.looks().cut is None


def test_examples_that_have_something_in_common_decide_later() -> None:
    """The device was asked no further than independent ones would have needed, and the gate stayed undecided."""
    rows, groups = np.arange(2000), np.arange(2000) // 4
    hits = {"candidate": rows >= 6, "baseline": (rows < 6) | (rows >= 12)}  # whole groups are lost or won
    (alone, _, _), (ran, spending, status) = spend(hits, 2000), spend(hits, 2000, groups=groups)
    assert (status, spending.why) == ("pass", "decided")
    assert alone.n < ran.n < 2000
    there = hits["candidate"][drawing.drawn(2000)]
    assert verdict(hits, there[: alone.n], spending, groups) == "inconclusive"


def test_without_gates_all_are_run_as_long_as_there_is_time() -> None:
    spending, ran = Spending(300, 150.0), Ran()
    while (goal := spending.goal(ran)) is not None:
        ran.n += min(50, goal - ran.n)
    assert ran.n == 150
    assert spending.cut is not None
    assert spending.cut.goal == 300


def test_a_stricter_gate_beside_it_gets_what_it_needs() -> None:
    strict = Gate("accuracy", "1 pp", 0.99)
    assert spend(host(3, 4, 2000), gates=(GATE, strict))[0].n > spend(host(3, 4, 2000))[0].n
