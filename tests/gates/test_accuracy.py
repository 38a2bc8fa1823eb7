"""Accuracy: passes when the drop is shown to be inside the margin, fails when shown outside, else says what lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebuild.evidence.agreement import compare
from edgebuild.gates.accuracy import Accuracy
from edgebuild.measure import paired
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Fidelity, Gate


def judge(
    lost: int, won: int, n: int, limit: str = "1 pp", fidelity: Fidelity = "emulated", wanted: Fidelity = "host",
    confidence: float = 0.95, agreement: dict[str, Any] | None = None,
) -> Verdict:  # fmt: skip
    found: dict[str, Any] = {"lost": lost, "won": won, "n": n, "origin": {"fidelity": fidelity}}
    if agreement is not None:
        found["agreement"] = agreement
    return Accuracy().judge(Gate("accuracy", limit, confidence, wanted), {"accuracy": found})


def agreement(differing: int, n: int = 500) -> dict[str, Any]:
    """What the real comparison says of a device that answers otherwise on some examples."""
    host = np.eye(10, dtype=np.float32)[np.arange(n) % 10]
    device = host.copy()
    device[:differing] = np.roll(host[:differing], 1, axis=1)
    if not differing:
        device[0, 0] += 1e-6  # not bit-identical, but no answer differs
    return compare(device, host)


def test_a_small_drop_over_many_examples_passes() -> None:
    verdict = judge(lost=10, won=9, n=5000)
    assert (verdict.status, verdict.n, verdict.fidelity) == ("pass", 5000, "emulated")
    assert verdict.reason == "the drop is below 0.17 pp"
    assert (verdict.estimate, verdict.low, verdict.high) == pytest.approx(tuple(paired.drop_bound(10, 9, 5000)))


def test_a_large_drop_fails_with_what_is_proved() -> None:
    verdict = judge(lost=200, won=20, n=2000)
    assert verdict.status == "fail"
    assert verdict.low is not None
    assert verdict.reason == f"the drop is at least {100 * verdict.low:.2f} pp"
    assert verdict.low > 0.01


def test_a_drop_exactly_on_the_margin_is_never_a_pass() -> None:
    assert judge(lost=100, won=50, n=5000).status == "inconclusive"


def test_too_few_examples_say_how_many_would_do() -> None:
    verdict = judge(lost=4, won=2, n=300)
    assert verdict.status == "inconclusive"
    needed = paired.examples_needed(0.02, 0.01)
    assert needed == 1713  # GATES.md
    assert verdict.reason == f"300 examples are too few to tell: with 2.0% discordant, {needed} are needed"


def test_enough_examples_near_the_margin_say_so() -> None:
    verdict = judge(lost=50, won=10, n=5000)
    assert verdict.status == "inconclusive"
    assert verdict.reason == "the drop is too near the margin to tell"


def test_more_confidence_asks_for_more() -> None:
    assert judge(10, 9, 1000, confidence=0.95).status == "pass"
    assert judge(10, 9, 1000, confidence=0.999).status == "inconclusive"


def test_a_good_result_of_too_low_a_fidelity_does_not_pass() -> None:
    verdict = judge(10, 9, 5000, fidelity="host", wanted="emulated")
    assert verdict.status == "inconclusive"
    assert verdict.reason == "inside the margin, but only host; the gate asks for emulated"
    assert judge(10, 9, 5000, fidelity="emulated", wanted="hardware").status == "inconclusive"
    assert judge(10, 9, 5000, fidelity="hardware", wanted="emulated").status == "pass"


def test_a_device_that_ran_every_example_and_agreed_costs_nothing() -> None:
    same = np.random.default_rng(0).normal(size=(500, 10))
    alone, identical = judge(10, 9, 5000), judge(10, 9, 5000, agreement=compare(same, same, whole=True))
    assert (identical.low, identical.high) == (alone.low, alone.high)


def test_equal_bits_on_some_examples_do_not_speak_for_all() -> None:
    same = np.random.default_rng(0).normal(size=(500, 10))
    alone, identical = judge(10, 9, 5000), judge(10, 9, 5000, agreement=compare(same, same))
    assert alone.high is not None
    drop, differing = paired.drop_bound(10, 9, 5000, 0.975), 1 - 0.025 ** (1 / 500)
    assert (identical.low, identical.high) == pytest.approx((drop.low - differing, drop.high + differing))
    assert "bit-identical on 500 examples, so answers differ in at most 0.74 pp" in identical.reason


def test_float_noise_without_a_differing_answer_costs_what_500_examples_cannot_exclude() -> None:
    noisy = judge(10, 9, 5000, agreement=agreement(0))
    assert noisy.status == "pass"
    assert noisy.high == pytest.approx(paired.drop_bound(10, 9, 5000, 0.975).high + 0.00735, abs=1e-5)
    assert noisy.reason.endswith("; host and device differ in 0 of 500 answers, so in at most 0.74 pp")


def test_where_every_example_ran_on_the_device_the_share_is_known_and_costs_no_confidence() -> None:
    alone, whole = judge(10, 9, 5000), judge(10, 9, 5000, agreement=agreement(5) | {"whole": True})
    assert alone.high is not None
    assert whole.high == pytest.approx(alone.high + 5 / 500)
    assert whole.reason.endswith("; host and device differ in 5 of 500 answers")


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_drop_and_disagreement_are_bounded_jointly(confidence: float) -> None:
    """A device that answers otherwise, and always wrongly, in a share of cases that 120 examples often miss.

    The true drop on the device is the margin, where a pass is wrong: it may happen in one build of twenty (or ten),
    although neither the drop on the host nor the disagreement is known.
    """
    rng = np.random.default_rng(1)
    n, seen, share, passed = 4000, 120, 0.012, 0
    margin = 0.02
    for _ in range(2000):
        lost, won, _ = rng.multinomial(n, [margin - share + 0.01, 0.01, 0.98 - margin + share])
        found = {"answers_differing": int(rng.binomial(seen, share)), "n": seen, "identical": False, "whole": False}
        passed += judge(lost, won, n, f"{100 * margin:g} pp", confidence=confidence, agreement=found).status == "pass"
    assert passed / 2000 <= 1 - confidence


def test_a_device_that_answers_otherwise_cannot_pass_and_the_reason_says_why() -> None:
    verdict = judge(10, 9, 5000, agreement=agreement(40))
    assert verdict.status == "inconclusive"
    assert "host and device differ in 40 of 500 answers, so in at most 10.73 pp" in verdict.reason


def test_a_fail_must_survive_the_penalty_too() -> None:
    assert judge(200, 20, 2000, limit="7 pp").status == "fail"
    assert judge(200, 20, 2000, limit="7 pp", agreement=agreement(40)).status == "inconclusive"


@pytest.mark.parametrize("text", ["1", "0 pp", "-1 pp", "100 pp", "1 ms"])
def test_a_margin_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|margin"):
        Accuracy.limit(text)


def test_a_margin_is_a_share() -> None:
    assert Accuracy.limit("1 pp") == Accuracy.limit("1 %") == 0.01


@pytest.mark.parametrize(("discordant", "margin", "needed"), [(0.02, 1, 1713), (0.05, 1, 4282), (0.02, 0.5, 6852)])
def test_the_examples_needed_are_those_of_the_protocol(discordant: float, margin: float, needed: int) -> None:
    """(z₀.₉₅ + z₀.₉)²·ψ/δ², as published: 90 % power at a one-sided 5 %."""
    half = round(400 * discordant / 2)
    verdict = judge(half, half, 400, f"{margin} pp")
    assert verdict.status == "inconclusive"
    told = f"400 examples are too few to tell: with {discordant:.1%} discordant, {needed} are needed"
    assert verdict.reason == told


def test_the_needed_number_of_examples_passes_nine_times_of_ten() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(1713, [0.01, 0.01, 0.98], 2000)
    passed = np.mean([judge(lost, won, 1713).status == "pass" for lost, won, _ in drawn.tolist()])
    assert passed == pytest.approx(0.9, abs=0.03)


def test_the_class_that_lost_most_is_named() -> None:
    classes = {"cat": {"n": 50, "drop": 0.04}, "dog": {"n": 60, "drop": -0.1}}
    found = {"lost": 10, "won": 9, "n": 5000, "origin": {"fidelity": "host"}, "classes": classes}
    reason = Accuracy().judge(Gate("accuracy", "1 pp"), {"accuracy": found}).reason
    assert reason == "the drop is below 0.17 pp; most in class 'cat': 4.00 pp of 50 examples"
    classes["cat"]["drop"] = 0.0
    assert "class" not in Accuracy().judge(Gate("accuracy", "1 pp"), {"accuracy": found}).reason
