"""Plans trials of a search: a recipe in the place of the target's own, measured by the examples that choose.

A trial is steps like any other, in the same store. Nothing that it is measured by has seen the examples that judge:
they are not in the data that its evidence is made of. Answers are this machine's, time is the target's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Store
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.limits import gates_of
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.planner import reach
from edgebuild.plan.recipe import Chain, Recipes
from edgebuild.plan.weights import Weights
from edgebuild.spec.artifact import options
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.target import FIDELITIES, DeviceSpec, Gate, Policy, Recipe, StepSpec, Target
from edgebuild.spec.technique import Technique
from edgebuild.steps.choose_by import ChooseBy

_HERE = DeviceSpec("local", ("outputs",), key="devices")
_SHORT = 6  # times fewer epochs show what a training is likely to come to
# Where a target is timed: enough to choose by, and no verdict.
_LOOKS, _ROUNDS, _WARM_UP, _WARM_UP_SECONDS = (6,), 100, 20, 0.5


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched for: a model on a target as a search measures it, and what a release there must prove.

    `gates` take evidence of any fidelity, `asked` are the same as a release is held to them.
    """

    target: Target
    model: ModelSpec
    gates: tuple[Gate, ...]
    asked: tuple[Gate, ...]

    @classmethod
    def of(cls, target: Target, model: ModelSpec, policy: Policy) -> Subject:
        """UsageError for an assembly, each of whose parts has a recipe of its own, and for wrong gates."""
        if model.declared.assembly is not None:
            hint = "search for the models of its parts"
            raise UsageError(f"{model.name!r} is an assembly: no one recipe makes it", file=model.file, hint=hint)
        gates = gates_of(target, model, policy)
        return cls(_measured(target), model, tuple(replace(gate, fidelity=FIDELITIES[0]) for gate in gates), gates)


def _measured(target: Target) -> Target:
    """The target with its time on its own devices, answers on this machine, and brief timing."""
    timed = [replace(spec, measures=("latency",)) for spec in target.devices if "latency" in spec.measures]
    own = target.timing
    brief = replace(
        own,
        looks=(min(own.looks[0], *_LOOKS),),
        iterations=min(own.iterations, _ROUNDS),
        warmup_iterations=min(own.warmup_iterations, _WARM_UP),
        warmup=min(own.warmup, _WARM_UP_SECONDS),
    )
    return replace(target, devices=(*timed, _HERE), timing=brief, recipe=Recipe())


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be known of a recipe: ids of evidence by role, the formats of its files, and by id of what is made
    untrained the place of its step in the recipe.
    """

    evidence: Mapping[str, str]
    formats: tuple[str, ...]
    places: Mapping[str, int] = field(default_factory=dict)


class Trying:
    """Adds trials to a graph: `place` in its methods tells those of one graph apart."""

    def __init__(self, graph: Graph, store: Store, subject: Subject, instruments: Instruments) -> None:
        """Add what all trials start from; UsageError for what no build could start from either."""
        self.graph, self._model, self._gates = graph, subject.model, subject.gates
        self._instruments, self._prefix = instruments, f"search/{subject.target.name}/{subject.model.name}"
        self.weights = Weights.plan(graph, store, subject.model)
        self._target, self.notices = reach(subject.target, subject.model, self.weights.source)
        node = Node(ChooseBy(), {"data": self.weights.data}, "data")
        self._data = graph.add(f"{subject.model.name}/choose-by", node)

    @cached_property
    def fingerprint(self) -> tuple[str, ...]:
        """Digests of what the model is made from."""
        return tuple(sorted(self.graph.sources))

    def steps(self, recipe: Recipe) -> tuple[Technique, ...]:
        """The steps of a recipe, with the options that hardware and model give; UsageError for a wrong one."""
        return self._recipes(recipe, "").steps

    def check(self, recipe: Recipe) -> None:
        """UsageError for a recipe that cannot be planned, with or without its trainings."""
        self._chains(recipe, "planned")
        self._chains(self.untrained(recipe), "planned")

    def counted(self, recipe: Recipe, place: str, formats: tuple[str, ...] = ()) -> Look:
        """What its files weigh, need and take untrained, as trainings change values alone: in these formats, or all."""
        chains = self._chains(self.untrained(recipe), place, self._in(formats))
        measuring = self._measuring(place)
        measuring.count(chains, self.weights)
        kept = [place for place, step in enumerate(self.steps(recipe)) if not _teaches(step)]
        places = {stage.output: kept[stage.number] for chain in chains for stage in chain.stages}
        return Look(measuring.evidence, tuple(chain.runtime.format for chain in chains), places)

    def answered(
        self, recipe: Recipe, format_name: str, place: str, *, alone: bool = False, again: bool = False
    ) -> Look:
        """What its file in one format answers, with what else is not known before it is trained; the answers `alone`;
        or with `again` also its work, counted once more.
        """
        (chain,) = self._chains(recipe, place, self._in((format_name,)))
        measuring = self._measuring(place)
        if alone:
            measuring.compare(chain)
        else:
            measuring.answer(chain, self.weights)
        if again:
            measuring.count([chain], self.weights)
        return Look(measuring.evidence, (format_name,))

    def untrained(self, recipe: Recipe) -> Recipe:
        """The recipe without trainings."""
        pairs = zip(recipe.steps, self.steps(recipe), strict=True)
        return replace(recipe, steps=tuple(line for line, step in pairs if not _teaches(step)))

    def short(self, recipe: Recipe) -> Recipe | None:
        """The recipe with a part of each training's epochs; None where it trains nothing."""
        lines, steps = recipe.steps, self.steps(recipe)
        if not any(_teaches(step) for step in steps):
            return None
        return replace(recipe, steps=tuple(_shortened(*pair) for pair in zip(lines, steps, strict=True)))

    def _in(self, formats: tuple[str, ...]) -> Target:
        """The target with its runtimes of these formats alone; with all where none is named."""
        runtimes = tuple(each for each in self._target.runtimes if not formats or each.format in formats)
        return replace(self._target, runtimes=runtimes)

    def _recipes(self, recipe: Recipe, place: str, target: Target | None = None) -> Recipes:
        own = replace(target or self._target, recipe=recipe)
        prefix = f"{self._prefix}/{place}"
        return Recipes(self.graph, own, self._model, self.weights, prefix, frozenset(), self._instruments)

    def _chains(self, recipe: Recipe, place: str, target: Target | None = None) -> list[Chain]:
        recipes = self._recipes(recipe, place, target)
        return [recipes.chain(runtime) for runtime in (target or self._target).runtimes]

    def _measuring(self, place: str) -> Measuring:
        prefix = f"{self._prefix}/{place}"
        return Measuring(self.graph, self._target, self._model, self._data, self._instruments, prefix, self._gates)


def _teaches(step: Technique) -> bool:
    """Whether it is a training that leaves the operations as they are."""
    return step.trains and step.values_only


def _shortened(line: StepSpec, step: Technique) -> StepSpec:
    epochs = options(step).get("epochs")
    if not _teaches(step) or not isinstance(epochs, int):
        return line
    return replace(line, options={**line.options, "epochs": max(1, round(epochs / _SHORT))})
