"""How far a recipe is tried: nothing runs for what is impossible or too large, and of many few are trained whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from edgebuild.search.bench import Answered, Counted, Draft, Measured, Refused
from edgebuild.search.ladder import Ladder
from edgebuild.search.trial import Trial
from edgebuild.search.weighing import Weighed
from edgebuild.spec.evidence import Evidence, Weight, known
from edgebuild.spec.target import Gate, Recipe, StepSpec
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import measured

BASE = measured.weight(1_000_000, parameters=250_000, macs=10_000_000)
GATES = (Gate("accuracy", "1 pp"), Gate("size", "200 kB"), Gate("latency", "-50 %"))
WHOLE, SHORT = 18, 3


def recipe(ratio: float | None, *, taught: bool = True) -> Recipe:
    """int8, after half of the channels or so went and were taught again."""
    pruned = () if ratio is None else (StepSpec("prune_channels", {"ratio": ratio}),)
    learnt = (StepSpec("distill", {"epochs": WHOLE}),) if taught else ()
    return Recipe((*pruned, *learnt, StepSpec("int8", {})))


@dataclass
class Toy:
    """A model whose file shrinks with the square of what goes, and loses examples beyond half, fewer when trained; a
    brief training leaves `deeper` times more where all goes.
    """

    deeper: float = 0.0
    refusing: Callable[[Recipe], str | None] = lambda recipe: None
    late: bool = False
    grown: int = 0
    heavier: Mapping[str, float] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    @property
    def baselines(self) -> Mapping[str, Weight]:
        return {"onnx": BASE, "tflite": BASE}

    def steps(self, recipe: Recipe) -> tuple[Technique, ...] | Refused:
        why = self.refusing(recipe)
        made = {"prune_channels": PruneChannels, "distill": Distill, "int8": Int8}
        return Refused(why, planned=True) if why else tuple(made[one.use](**one.options) for one in recipe.steps)

    def short(self, recipe: Recipe) -> Recipe | None:
        if not any(step.use == "distill" for step in recipe.steps):
            return None
        steps = (replace(one, options={"epochs": SHORT}) if one.use == "distill" else one for one in recipe.steps)
        return replace(recipe, steps=tuple(steps))

    def measure(self, candidates: Sequence[Counted | Answered]) -> list[Measured]:
        self.ran += [_told(one) for one in candidates]
        return [None if self.late else self._files(one) for one in candidates]

    def _files(self, one: Counted | Answered) -> tuple[Weighed, ...]:
        if isinstance(one, Answered):
            return (self._answered(one),)
        speeds = {"onnx": 1.0, "tflite": 0.5}
        return tuple(
            _file(one.recipe, name, speeds[name], heavier=self.heavier.get(name, 1.0)) for name in one.formats or speeds
        )

    def _answered(self, one: Answered) -> Weighed:
        weighed = _file(one.recipe, one.format, 0.5, more=self.grown)
        unfinished = int(30 * (1 + self.deeper * _ratio(one.recipe))) if _epochs(one.recipe) == SHORT else 0
        lost = int(300 * 0.05 * max(0.0, _ratio(one.recipe) - 0.5)) + unfinished
        latency = weighed.evidence.latency if one.again else None
        answers = measured.accuracy(lost, 0, 300).accuracy
        return replace(weighed, evidence=replace(weighed.evidence, accuracy=answers, latency=latency))


def _told(one: Counted | Answered) -> str:
    if isinstance(one, Counted):
        return " ".join(["count", str(_ratio(one.recipe)), *one.formats])
    return f"{'again' if one.again else 'answer'} {_ratio(one.recipe)}@{_epochs(one.recipe)}"


def _ratio(one: Recipe) -> float:
    return next((float(step.options["ratio"]) for step in one.steps if step.use == "prune_channels"), 0.0)


def _epochs(one: Recipe) -> int:
    return next((int(step.options["epochs"]) for step in one.steps if step.use == "distill"), 0)


def _file(one: Recipe, kind: str, speed: float, more: int = 0, heavier: float = 1.0) -> Weighed:
    kept = (1 - _ratio(one)) ** 2
    footprint = measured.footprint(measured.weight(int(250_000 * kept * heavier) + more), BASE).footprint
    latency = measured.predicted(0.1 * kept * speed, ratio_limits=(0.9, 1.1))
    return Weighed(kind, Evidence(footprint=footprint, latency=latency))


def climbed(toy: Toy, *recipes: Recipe, gates: Sequence[Gate] = GATES, **options: Any) -> list[Trial]:
    return tried(Ladder(toy, gates, **options), *recipes)


def tried(ladder: Ladder, *recipes: Recipe, first: int = 0) -> list[Trial]:
    """What becomes of recipes of numbers from `first` on when nothing comes after them."""
    drafts = [Draft(number, {}, one) for number, one in enumerate(recipes, first)]
    return sorted([*ladder.climb(drafts), *ladder.climb([])], key=lambda trial: trial.number)


def test_nothing_runs_for_a_recipe_that_cannot_be_planned() -> None:
    toy = Toy(refusing=lambda recipe: "no kernel computes it")
    (trial,) = climbed(toy, recipe(0.5))
    assert (trial.rung, trial.status, trial.reason) == ("planned", "rejected", "no kernel computes it")
    assert toy.ran == []


def test_nothing_runs_for_one_that_is_too_large_at_best() -> None:
    toy = Toy()
    (trial,) = climbed(toy, recipe(0.05))
    assert (trial.rung, trial.misses[0].gate) == ("bounded", "size")
    assert trial.reason.startswith("at best size '200 kB': 198.3 KiB of at most 195.3 KiB")
    assert toy.ran == []


def test_nothing_is_trained_for_one_that_is_counted_beyond_a_limit() -> None:
    toy = Toy()
    (trial,) = climbed(toy, recipe(0.5), gates=(*GATES[:2], Gate("latency", "-90 %")))
    assert (trial.rung, trial.misses[0].gate) == ("counted", "latency")
    assert trial.point is not None
    assert trial.point.format == "tflite"  # the one that misses by least
    assert toy.ran == ["count 0.5"]


def test_the_fastest_format_within_the_limits_is_the_one_that_is_trained() -> None:
    (trial,) = climbed(Toy(), recipe(0.5))
    assert (trial.rung, trial.status) == ("whole", "passes")
    assert trial.point is not None
    assert (trial.point.format, trial.point.size) == ("tflite", 62_500)
    assert trial.point.loss is not None
    assert (trial.point.loss.share, trial.short) == (0.0, pytest.approx(10.0))


def test_of_those_that_are_trained_a_little_a_third_is_trained_whole() -> None:
    toy = Toy()
    trials = climbed(toy, *(recipe(ratio) for ratio in (0.3, 0.35, 0.4, 0.45, 0.5, 0.6)))
    assert [trial.status for trial in trials] == ["behind"] * 4 + [
        "passes"
    ] * 2  # the smallest, and one that loses less
    assert sum(line.endswith(f"@{WHOLE}") for line in toy.ran) == 2
    assert "lost 10.0 times what accuracy may lose after a brief training, and others of its batch" in trials[0].reason


def test_what_adds_nothing_to_those_that_were_chosen_before_it_is_not_trained_whole() -> None:
    toy = Toy()
    trials = climbed(toy, *(recipe(ratio) for ratio in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55)))
    assert [trial.status for trial in trials] == ["behind"] * 5 + ["passes"]  # as much is lost by the smallest
    assert [line for line in toy.ran if line.endswith(f"@{WHOLE}")] == [f"answer 0.55@{WHOLE}"]


def test_what_would_add_nothing_even_if_it_lost_nothing_is_not_trained_at_all() -> None:
    toy = Toy()
    ladder = Ladder(toy, GATES)
    tried(ladder, recipe(0.5))
    toy.ran.clear()
    (trial,) = tried(ladder, recipe(0.4), first=1)
    assert (trial.status, trial.rung) == ("behind", "counted")
    assert trial.reason == "another that passes takes no more time and bytes, and nobody has lost less"
    assert toy.ran == ["count 0.4"]


def test_what_goes_deeper_and_so_loses_more_at_first_is_trained_whole_all_the_same() -> None:
    """A whole training leaves a part of what a brief one lost: by their difference, 12 times the limit would stay."""
    ladder = Ladder(Toy(deeper=3.0), GATES)
    (before,) = tried(ladder, recipe(0.35))
    near, deep = tried(ladder, recipe(0.36), recipe(0.75), first=1)
    assert (before.short, deep.short) == (pytest.approx(20.33, abs=0.01), pytest.approx(33.33, abs=0.01))
    assert [(each.rung, each.status) for each in (near, deep)] == [("short", "behind"), ("whole", "passes")]


def test_where_none_is_likely_to_pass_those_nearest_to_it_are_trained_whole() -> None:
    """The cheapest were, of which a sixth of the training had lost sixty times the limit."""
    ladder = Ladder(Toy(deeper=3.0), GATES)
    (before,) = tried(ladder, recipe(0.8))
    assert (before.rung, before.status) == ("whole", "rejected")
    trials = tried(ladder, *(recipe(ratio) for ratio in (0.9, 0.85, 0.75, 0.7, 0.46, 0.45)), first=1)
    assert [(each.rung, each.status) for each in trials] == [("short", "behind")] * 4 + [("whole", "passes")] * 2


def test_a_format_that_is_always_the_fastest_is_counted_first_and_others_where_it_just_misses() -> None:
    toy = Toy()
    fast, *slower = (Ladder(toy, (*GATES[:2], Gate("latency", limit))) for limit in ("-50 %", "-88 %", "-95 %"))
    for ladder in (fast, *slower):
        tried(ladder, *(recipe(0.3 + 0.04 * n) for n in range(6)))
    toy.ran.clear()
    tried(fast, recipe(0.6), recipe(0.11), first=6)
    assert [line for line in toy.ran if line.startswith("count")] == ["count 0.6 tflite", "count 0.11 tflite"]
    for ladder, counts in zip(slower, (["count 0.5 tflite", "count 0.5"], ["count 0.5 tflite"]), strict=True):
        toy.ran.clear()
        tried(ladder, recipe(0.5), first=8)
        assert toy.ran == counts


def test_a_format_is_the_fastest_also_where_only_the_other_is_within_the_limits() -> None:
    """A TFLite file that is a little larger was taken for a slower one, and both were counted from then on."""
    toy = Toy(heavier={"tflite": 1.8})
    ladder = Ladder(toy, GATES)
    *_, last = tried(ladder, *(recipe(ratio) for ratio in (0.5, 0.48, 0.46, 0.44, 0.42, 0.3)))
    assert last.point is not None
    assert last.point.format == "onnx"
    toy.ran.clear()
    tried(ladder, recipe(0.6), first=6)
    assert toy.ran[0] == "count 0.6 tflite"


def test_the_next_recipes_are_counted_while_those_before_are_trained_whole() -> None:
    toy = Toy()
    ladder = Ladder(toy, GATES)
    assert ladder.climb([Draft(0, {}, recipe(0.5))]) == []
    assert ladder.waiting == 1
    toy.ran.clear()
    trials = ladder.climb([Draft(1, {}, recipe(0.4)), Draft(2, {}, recipe(0.6))])
    assert toy.ran == ["count 0.4", "count 0.6", f"answer 0.5@{WHOLE}", f"answer 0.6@{SHORT}"]
    assert [(trial.number, trial.rung, trial.status) for trial in trials] == [
        (0, "whole", "passes"),
        (1, "counted", "behind"),  # by what was learnt meanwhile
    ]
    assert ladder.waiting == 1


def test_with_no_share_every_recipe_is_trained_whole_at_once() -> None:
    toy = Toy()
    trials = climbed(toy, recipe(0.3), recipe(0.4), recipe(0.5), share=None)
    assert {trial.rung for trial in trials} == {"whole"}
    assert not any(line.endswith(f"@{SHORT}") for line in toy.ran)


def test_one_without_training_is_tried_whole() -> None:
    toy = Toy()
    (trial,) = climbed(toy, recipe(0.5, taught=False))
    assert (trial.rung, trial.short, toy.ran) == ("whole", None, ["count 0.5", "answer 0.5@0"])


def test_answers_beyond_a_limit_reject_with_the_verdict_of_the_gate() -> None:
    (trial,) = climbed(Toy(), recipe(0.8))
    assert (trial.rung, trial.status) == ("whole", "rejected")
    assert trial.reason.startswith("accuracy '1 pp': ")
    assert trial.misses[0].excess == pytest.approx(1 / 3)  # four of 300 where three may be lost


def test_a_file_that_is_another_than_was_counted_is_counted_again() -> None:
    toy = Toy(grown=150_000)
    (trial,) = climbed(toy, recipe(0.5))
    assert f"again 0.5@{WHOLE}" in toy.ran
    assert (trial.status, trial.misses[0].gate) == ("rejected", "size")


def test_of_what_the_time_did_not_suffice_for_nothing_is_told() -> None:
    assert climbed(Toy(late=True), recipe(0.5)) == []


def test_a_recipe_within_all_goals_satisfies() -> None:
    for limit, satisfies in (("70 kB", True), ("60 kB", False)):
        (trial,) = climbed(Toy(), recipe(0.5), goals=(Gate("size", limit),))
        assert (trial.status, trial.satisfies) == ("passes", satisfies)


def test_the_toys_evidence_is_what_steps_write() -> None:
    assert known(_file(recipe(0.5), "onnx", 1.0).evidence.footprint).baseline == BASE
