"""What to do next: every gate that did not pass says what is likely to mend it, in the words of the recipe tried."""

from __future__ import annotations

from typing import Any

import pytest

from edgebuild.gates._remedies import Tried, remedy
from edgebuild.gates.statistics import paired
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Fidelity, Gate

BALANCED = Tried("balanced", ("prune_channels", "distill", "int8"))


def advice(metric: str, limit: str, evidence: dict[str, Any], tried: Tried = BALANCED, **more: Any) -> str:
    """What is said to whom the gate stops."""
    gate = Gate(metric, limit, **more)
    verdict: Verdict = GATES.get(metric)().judge(gate, evidence)
    return remedy(gate, verdict, evidence, tried)


def right(lost: int, won: int, n: int, fidelity: Fidelity = "host", **more: Any) -> dict[str, Any]:
    return {"accuracy": {"lost": lost, "won": won, "n": n, "origin": {"fidelity": fidelity}, **more}}


def test_a_pass_needs_nothing() -> None:
    assert advice("accuracy", "1 pp", right(0, 0, 5000)) == ""


def test_lost_accuracy_names_gentler_recipes_and_the_options_of_this_one() -> None:
    told = advice("accuracy", "1 pp", right(300, 10, 2000))
    assert told.startswith("a recipe that changes less (--recipe int8 or --recipe float16); or prune_channels with a ")
    for option in ("a lower `ratio` or a `budget`", "distill with more `epochs`", "`mixed_precision` in its place"):
        assert option in told


def test_what_was_tried_is_not_said_again() -> None:
    told = advice("accuracy", "1 pp", right(300, 10, 2000), Tried("int8", ("int8",)))
    assert "--recipe int8" not in told
    assert "prune_channels" not in told
    assert "int8 with `qat` before it" in told
    assert "--recipe float16" in told
    assert told == advice("accuracy", "1 pp", right(300, 10, 2000), Tried(None, ("int8",)))  # without its name as well


def test_a_drop_beyond_the_margin_is_not_answered_with_more_examples() -> None:
    """No number of examples makes a file pass that is as bad as it looks."""
    told = advice("accuracy", "1 pp", right(8, 2, 300))
    assert "examples" not in told
    assert "--recipe int8" in told
    classes = {"cat": {"lost": 3, "won": 0, "n": 20, "drop": 0.15}, "dog": {"lost": 0, "won": 0, "n": 280, "drop": 0.0}}
    told = advice("class_accuracy", "5 pp", right(3, 0, 300, classes=classes))
    assert "examples" not in told
    classes["cat"] |= {"lost": 0, "drop": 0.0}
    assert "more held-out examples: about 52 where" in advice(
        "class_accuracy", "5 pp", right(0, 0, 300, classes=classes)
    )


def test_too_few_examples_say_how_many_would_do() -> None:
    told = advice("accuracy", "1 pp", right(3, 3, 300))
    assert f"about {paired.examples_needed(0.02, 0.01)} where there are 300" in told


def test_a_drop_that_was_seen_is_reckoned_with() -> None:
    """One lost of 300 leaves two thirds of the margin: 286 would do if nothing were lost, and 642 as it looks."""
    told = advice("accuracy", "1 pp", right(1, 0, 300))
    assert f"about {paired.examples_needed(1 / 300, 0.01 - 1 / 300)} where there are 300" in told


def test_too_few_examples_on_the_device_are_the_targets_to_mend() -> None:
    agreement = {"answers_differing": 0, "n": 100, "of": 5000, "lost": 0, "won": 0, "identical": True}
    told = advice("accuracy", "1 pp", right(0, 0, 5000, agreement=agreement))
    assert told == "more `examples` in [[devices]] of the target: 100 of 5000 ran on the device"
    agreement["looks"] = {"at": [], "most": 1000, "why": "too slow", "cut": {"goal": 600}}
    told = advice("accuracy", "1 pp", right(0, 0, 5000, agreement=agreement))
    assert told == "a longer `budget` in [[devices]] of the target: 100 of 5000 ran on the device"
    agreement |= {"answers_differing": 40, "n": 5000, "lost": 5, "identical": False}
    assert "[[devices]]" not in advice("accuracy", "1 pp", right(5, 0, 5000, agreement=agreement))


def footprint(ours: int) -> dict[str, Any]:
    kinds = ("bytes", "download", "parameters", "macs")
    return {"footprint": {"candidate": dict.fromkeys(kinds, ours), "baseline": dict.fromkeys(kinds, 1000)}}


@pytest.mark.parametrize(("metric", "limit"), [("size", "+0 %"), ("macs", "-50 %"), ("download", "900 B")])
def test_what_is_too_large_names_recipes_that_take_more_away(metric: str, limit: str) -> None:
    told = advice(metric, limit, footprint(1100))
    assert "--recipe smallest" in told
    assert "--recipe balanced" not in told
    assert "prune_channels with a higher `ratio`" in told


def latency(ours: float, **more: Any) -> dict[str, Any]:
    times = {"candidate_seconds": [ours], "baseline_seconds": [0.1], "band": 0.3, "ratio_limits": [0.75, 1.25]}
    return {"latency": {"fidelity": "emulated", "device": "qemu", **times, **more}}


def test_what_is_too_slow_names_faster_recipes() -> None:
    assert "--recipe fastest" in advice("latency", "+3 %, predicted +35 %", latency(0.2), fidelity="emulated")


def test_what_a_prediction_cannot_tell_a_device_can() -> None:
    told = advice("latency", "+3 %, predicted +35 %", latency(0.11), fidelity="emulated")
    assert "edgebuild gate BUNDLE --target NAME --device ssh://USER@HOST" in told


@pytest.mark.parametrize("ours", [0.01, 0.5])
def test_too_little_evidence_asks_for_another_device_whatever_it_says(ours: float) -> None:
    told = advice("latency", "+3 %", latency(ours), fidelity="hardware")
    assert told.startswith("a board or phone (edgebuild gate BUNDLE")
    assert advice("accuracy", "1 pp", right(0, 0, 5000), fidelity="emulated").startswith(
        "`edgebuild doctor`, which says "
    )


@pytest.mark.parametrize("metric", GATES.names())
def test_every_metric_has_a_word_to_say(metric: str) -> None:
    assert callable(GATES.get(metric).mend)
