"""What to do next: every gate that did not pass says what is likely to mend it, in the words of the recipe tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgebuild.gates._remedies import remedy
from edgebuild.gates.statistics import paired
from edgebuild.spec.evidence import Cut, Evidence, Weight
from edgebuild.spec.metric import Tried
from edgebuild.spec.project import Project
from edgebuild.spec.registry import GATES, STEPS, takes
from edgebuild.spec.source import SOURCES
from edgebuild.spec.target import Gate
from tests import measured
from tests.measured import accuracy, groups, on_device

HERE = Path(__file__).parent
PROJECT = Project(HERE, HERE, HERE)
BALANCED = Tried("balanced", ("prune_channels", "distill", "int8"))


def advice(metric: str, limit: str, evidence: Evidence, tried: Tried = BALANCED, **more: Any) -> str:
    """What is said to whom the gate stops."""
    gate = Gate(metric, limit, **more)
    verdict = GATES.get(metric)().judge(gate, evidence)
    return remedy(gate, verdict, evidence, tried)


def test_a_pass_needs_nothing() -> None:
    assert advice("accuracy", "1 pp", accuracy(0, 0, 5000)) == ""


def test_lost_accuracy_names_gentler_recipes_and_the_options_of_this_one() -> None:
    told = advice("accuracy", "1 pp", accuracy(300, 10, 2000))
    assert told.startswith("a recipe that changes less (--recipe int8 or --recipe float16); or prune_channels with a ")
    for option in ("a lower `ratio` or a `budget`", "distill with more `epochs`", "`mixed_precision` in its place"):
        assert option in told


def test_what_was_tried_is_not_said_again() -> None:
    told = advice("accuracy", "1 pp", accuracy(300, 10, 2000), Tried("int8", ("int8",)))
    assert "--recipe int8" not in told
    assert "prune_channels" not in told
    assert "int8 with `qat` before it" in told
    assert "--recipe float16" in told
    assert told == advice(
        "accuracy", "1 pp", accuracy(300, 10, 2000), Tried(None, ("int8",))
    )  # without its name as well


def test_recipes_that_failed_before_this_one_are_not_said_again() -> None:
    """`careful` ends with `lossless`, and told to try its own first two."""
    recipe = PROJECT.recipe("careful")
    while recipe.otherwise is not None:
        recipe = recipe.otherwise
    assert (recipe.name, recipe.failed) == ("lossless", ("int8", "float16"))
    tried = Tried(recipe.name, tuple(step.use for step in recipe.steps), failed=recipe.failed)
    assert "--recipe" not in advice("accuracy", "1 pp", accuracy(300, 10, 2000), tried)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES.names() if not SOURCES.get(kind).trainable])
def test_of_a_model_that_is_a_file_only_what_works_on_files_is_advised(kind: str) -> None:
    """`qat` and `--recipe fastest` stop at such a model in the plan; what would make a module of it is said instead."""
    source = SOURCES.get(kind)
    tried = Tried("int8", ("int8",), source.trainable, source.instead)
    lost, large = advice("accuracy", "1 pp", accuracy(300, 10, 2000), tried), footprint(1100)
    slow = advice("latency", "+3 %, predicted +35 %", latency(0.2), tried, fidelity="emulated")
    for told in (lost, slow, advice("size", "+0 %", large, tried)):
        recipes = map(PROJECT.recipe, re.findall(r"--recipe (\w+)", told))
        steps = {step.use for recipe in recipes for step in recipe.steps}
        steps |= {*re.findall(r"`(\w+)`", told)} & {*STEPS.names()}
        assert all(takes(STEPS.get(step), source.kind) for step in steps), told
    assert lost == "a recipe that changes less (--recipe float16); or int8 with `mixed_precision` in its place"
    assert source.instead in slow


def test_a_drop_beyond_the_margin_is_not_answered_with_more_examples() -> None:
    """No number of examples makes a file pass that is as bad as it looks."""
    told = advice("accuracy", "1 pp", accuracy(8, 2, 300))
    assert "examples" not in told
    assert "--recipe int8" in told
    classes = groups({"cat": (3, 0, 20), "dog": (0, 0, 280)})
    told = advice("class_accuracy", "5 pp", accuracy(3, 0, 300, classes=classes))
    assert "examples" not in told
    classes = groups({"cat": (0, 0, 20), "dog": (0, 0, 280)})
    assert "more held-out examples: about 52 where" in advice(
        "class_accuracy", "5 pp", accuracy(0, 0, 300, classes=classes)
    )


def test_too_few_examples_say_how_many_would_do() -> None:
    told = advice("accuracy", "1 pp", accuracy(3, 3, 300))
    assert f"about {paired.examples_needed(0.02, 0.01)} where there are 300" in told


def test_a_drop_that_was_seen_is_reckoned_with() -> None:
    """One lost of 300 leaves two thirds of the margin: 286 would do if nothing were lost, and 642 as it looks."""
    told = advice("accuracy", "1 pp", accuracy(1, 0, 300))
    assert f"about {paired.examples_needed(1 / 300, 0.01 - 1 / 300)} where there are 300" in told


def test_too_few_examples_on_the_device_are_the_targets_to_mend() -> None:
    compared = on_device(n=100, identical=True, stopped=False)
    told = advice("accuracy", "1 pp", accuracy(0, 0, 5000, compared=compared))
    assert told == "more `examples` in [[devices]] of the target: 100 of 5000 ran on the device"
    compared = on_device(n=100, identical=True, most=1000, cut=Cut(600, 100.0, 20.0))
    told = advice("accuracy", "1 pp", accuracy(0, 0, 5000, compared=compared))
    assert told == "a longer `budget` in [[devices]] of the target: 100 of 5000 ran on the device"
    told = advice("accuracy", "1 pp", accuracy(0, 0, 5000, compared=compared, fidelity="emulated"))
    assert "100 of 5000 ran on the device; where it was not done yet, `edgebuild devices setup --faster`" in told
    compared = on_device(5, 5000, differing=40)
    assert "[[devices]]" not in advice("accuracy", "1 pp", accuracy(5, 0, 5000, compared=compared))


def footprint(ours: int) -> Evidence:
    return measured.footprint(Weight(ours, ours, ours, ours), Weight(1000, 1000, 1000, 1000))


@pytest.mark.parametrize(("metric", "limit"), [("size", "+0 %"), ("macs", "-50 %"), ("download", "900 B")])
def test_what_is_too_large_names_recipes_that_take_more_away(metric: str, limit: str) -> None:
    told = advice(metric, limit, footprint(1100))
    assert "--recipe smallest" in told
    assert "--recipe balanced" not in told
    assert "prune_channels with a higher `ratio`" in told


def latency(ours: float) -> Evidence:
    return Evidence(latency=measured.predicted(ours, ratio_limits=(0.75, 1.25)))


def test_what_is_too_slow_names_faster_recipes() -> None:
    assert "--recipe fastest" in advice("latency", "+3 %, predicted +35 %", latency(0.2), fidelity="emulated")


def test_what_a_prediction_cannot_tell_a_device_can() -> None:
    told = advice("latency", "+3 %, predicted +35 %", latency(0.11), fidelity="emulated")
    assert "edgebuild gate BUNDLE --target NAME --device ssh://USER@HOST" in told


@pytest.mark.parametrize("ours", [0.01, 0.5])
def test_too_little_evidence_asks_for_another_device_whatever_it_says(ours: float) -> None:
    told = advice("latency", "+3 %", latency(ours), fidelity="hardware")
    assert told.startswith("a board or phone (edgebuild gate BUNDLE")
    assert advice("accuracy", "1 pp", accuracy(0, 0, 5000), fidelity="emulated").startswith(
        "`edgebuild doctor`, which says "
    )


@pytest.mark.parametrize("metric", GATES.names())
def test_every_metric_has_a_word_to_say(metric: str) -> None:
    assert callable(GATES.get(metric).mend)
