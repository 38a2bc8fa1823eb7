"""Checks a model before any build: its declaration, its data, one pass through its own runtime, what recipes say to it.

The steps are those that a build begins with, so that what ran here is there already when a build asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec import dataset, notes, tasks
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.project import Project
from edgebuild.spec.registry import STEPS
from edgebuild.spec.source import SOURCES
from edgebuild.spec.target import SEARCHED, USUAL, Recipe, StepSpec, Target
from edgebuild.spec.technique import recomputed
from edgebuild.steps.import_file import integer
from edgebuild.verbs import class_order

if TYPE_CHECKING:
    from edgebuild.engine.graph import Graph
    from edgebuild.engine.store import Store
    from edgebuild.engine.task import Limits
    from edgebuild.plan.weights import Weights
    from edgebuild.spec.cache import Place
    from edgebuild.spec.rows import Array
    from edgebuild.verbs.journal import Journal, Listener

HOST = "host"
_TO_LEARN_FROM = 500  # training examples below which a pruned network is not taught back what it lost


@dataclass(frozen=True, slots=True)
class Right:
    """How many of `count` validation examples a head's answers get right."""

    right: int
    count: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What was seen of a model: examples by split, right answers of each head that chooses (of a model that is yet to
    be trained none), and for every technique and every recipe why it does not take the model, or "". `declared` is the
    recipe that the model's file names, `of_target` the one that the target's does (None: steps without a name).
    `onward` names, of a choice of recipes whose first does not take the model, the one that a build goes on to.
    """

    model: str
    file: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: Mapping[str, int]
    right: Mapping[str, Right]
    notes: tuple[str, ...]
    target: str
    techniques: Mapping[str, str]
    recipes: Mapping[str, str]
    declared: str | None = None
    of_target: str | None = SEARCHED
    onward: Mapping[str, str] = field(default_factory=dict)

    @property
    def recipe(self) -> str | None:
        """The best recipe that takes it: its own, else that changes most where there is enough to learn from, else
        `careful`.
        """
        taken = [name for name, why in self.recipes.items() if not why]
        learns = self.examples["train"] >= _TO_LEARN_FROM
        liked = (self.declared, *((USUAL,) if learns else ()), "careful", "int8", *taken)
        return next((name for name in liked if name in taken), None)

    @property
    def unnamed(self) -> str | None:
        """The recipe that a build takes that names none, before any search; None for the target's own steps."""
        return (self.declared or USUAL) if self.of_target == SEARCHED else self.of_target


def run(
    project: Project,
    model: ModelSpec,
    target: Target,
    jobs: int,
    events: Listener,
    limits: Limits,
    cache: Place | None = None,
) -> Checked:
    """Load the data, run the model once over its validation examples, and ask techniques and recipes.

    UsageError, in one line, for the first thing that is wrong. `cache` is where results are shared with others.
    """
    from edgebuild.verbs.journal import Journal, shared

    journal = Journal(events)
    with shared(cache, journal):
        return _checked(project, model, target, jobs, journal, limits)


def _checked(
    project: Project, model: ModelSpec, target: Target, jobs: int, journal: Journal, limits: Limits
) -> Checked:
    from edgebuild.engine.graph import Graph
    from edgebuild.engine.store import Store
    from edgebuild.plan.joining import joining_of
    from edgebuild.plan.weights import Weights
    from edgebuild.verbs.journal import bring_up

    project.recipe_of(model)
    if model.declared.assembly is not None:
        joining_of(model)
    store = Store(project.store)
    try:
        graph = Graph()
        weights = Weights.plan(graph, store, model)
        if weights.undecided:
            graph.keep([weights.undecided])
            bring_up(store, graph, jobs, journal, limits)
            graph = Graph()
            weights = Weights.plan(graph, store, model)
        folders = _run(store, graph, weights, jobs, journal, limits)
        operator = integer(folders[weights.untrained or weights.float])
        techniques, recipes, onward = _takers(project, store, model, target, operator)
        data = folders[weights.data]
        declared = model.declared.signature
        right, order = ({}, []) if weights.untrained else _right(model, data, folders["answers"])
        return Checked(
            model.name,
            model.file,
            model.declared.origin.use,
            tuple(f"{one.name} {list(one.shape)} {one.dtype}" for one in declared.inputs),
            tuple(f"{one.name} {list(one.shape)} {one.dtype}" for one in declared.outputs),
            dataset.examples(data),
            right,
            (*(note for folder in folders.values() for note in notes.read(folder)), *order),
            target.name,
            techniques,
            recipes,
            model.declared.recipe,
            target.recipe.name,
            onward,
        )
    finally:
        store.close()


def _run(store: Store, graph: Graph, weights: Weights, jobs: int, journal: Journal, limits: Limits) -> dict[str, Path]:
    """Bring data, model and the model's own answers up to date; their folders by id, those of the answers by name."""
    from edgebuild.engine.graph import Node
    from edgebuild.verbs.journal import bring_up

    making = weights.source.reference("validation")
    model = weights.untrained or weights.float
    known = {"model": model, "data": weights.data, **weights.files}
    inputs = {role: known[role] for role in making.step.uses()}
    answers = graph.add("check/answers", Node(making.step, inputs, "outputs", making.code, making.tools))
    graph.keep([answers, weights.data, model])
    done = bring_up(store, graph, jobs, journal, limits)
    folders = {name: store.path(done[name].output) for name in (weights.data, model)}
    return folders | {"answers": store.path(done[answers].output)}


def _right(model: ModelSpec, data: Path, answers: Path) -> tuple[dict[str, Right], list[str]]:
    """Of each head that chooses, and a line where its classes seem to be in another order; UsageError where an
    answer is no number.
    """
    import numpy as np

    split = dataset.read(data, "validation")
    with np.load(answers / "outputs.npz") as stored:
        outputs = [stored[str(place)] for place in range(len(stored.files))]
    if bad := [port.name for port, y in zip(model.declared.signature.outputs, outputs, strict=True) if not _finite(y)]:
        raise UsageError(f"output {bad[0]!r} is NaN or infinite on validation examples", file=model.file)
    by_head, order = {}, []
    for head, labels in zip(model.declared.heads, split.labels, strict=True):
        task = tasks.of(head)
        if task.choice:
            answered = [outputs[place] for place in head.outputs]
            hits = task.hits(answered, labels)
            by_head[head.name] = Right(int(hits.sum()), int(hits.size))
            if better := class_order.other(task.choices(answered), labels, head.labels):
                order.append(_other_order(head.name, len(labels), *better))
    return by_head, order


def _other_order(head: str, examples: int, names: tuple[str, ...], right: int) -> str:
    order = ",".join(names)
    return (
        f"{head}: the model seems to have its classes in another order than declared: as {order} it would be right "
        f"{right} times of {examples} (init --labels {order}, or labels in model.toml; where the data numbers its "
        "classes, number them so)"
    )


def _finite(values: Array) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all())


def _takers(
    project: Project, store: Store, model: ModelSpec, target: Target, operator: str | None
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Why each technique, and each recipe, does not take the model; "" where it does. And by the name of a choice whose
    first recipe does not, the first that does. `operator` says of its file that it computes in integers already.
    """

    def reason(recipe: Recipe) -> str:
        return _recomputes(recipe, model, operator) or _why_not(store, model, target, recipe)

    single = {
        name: reason(Recipe((StepSpec(name, {}, name, target.file),)))
        for name in STEPS.names()
        if STEPS.get(name) is not None
    }
    named = {name: project.recipe(name) for name in project.recipe_files()}
    reasons = {name: reason(recipe) for name, recipe in named.items()}
    onward = {
        name: str(following.name)
        for name, recipe in named.items()
        if reasons[name] and (following := next((one for one in _others(recipe) if not reason(one)), None))
    }
    return single, reasons, onward


def _others(recipe: Recipe) -> Iterator[Recipe]:
    """Those behind the first of a choice."""
    while (following := recipe.otherwise) is not None:
        yield following
        recipe = following


def _recomputes(recipe: Recipe, model: ModelSpec, operator: str | None) -> str:
    """Why a recipe does not take a file that computes in fewer bits already, or ""; of a choice, its first."""
    declared = model.declared
    file = not SOURCES.get(declared.origin.use).trainable
    ports = (*declared.signature.inputs, *declared.signature.outputs) if file else ()
    dtypes = {port.dtype for port in ports}
    reasons = (recomputed(STEPS.get(step.use).numbers, operator, dtypes) for step in recipe.steps)
    return next(filter(None, reasons), "")


def _why_not(store: Store, model: ModelSpec, target: Target, recipe: Recipe) -> str:
    from edgebuild.engine.graph import Graph
    from edgebuild.plan.recipe import Recipes, reachable
    from edgebuild.plan.weights import Weights

    graph = Graph()
    try:
        weights = Weights.plan(graph, store, model)
        variant = replace(target, recipe=recipe, runtimes=reachable(weights.source, target))
        recipes = Recipes(graph, variant, model, weights, f"{target.name}/{model.name}")
        for runtime in variant.runtimes:
            recipes.chain(runtime)
    except EdgebuildError as error:
        return f"{error.reason} ({error.hint})" if error.hint else error.reason
    return "" if variant.runtimes else "no runtime of the target takes the model"
