"""Plans a network with an early exit: what its recipe makes of the module, then the halves, as files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from edgebuild.assemblies.early_exit import EarlyExit
from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.measurements import Measurements
from edgebuild.plan.parts import Built
from edgebuild.plan.recipe import Recipes
from edgebuild.plan.weights import Weights
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import Joining
from edgebuild.spec.model import ModelSpec, PartSpec
from edgebuild.spec.registry import STEPS
from edgebuild.spec.signature import Signature
from edgebuild.spec.target import Recipe, Runtime, StepSpec, Target
from edgebuild.steps.assemblies.add_exit import AddExit
from edgebuild.steps.assemblies.carry_features import CarryFeatures
from edgebuild.steps.assemblies.take_rest import TakeRest

_MODULE = "torch"


class Exiting:
    """Adds the nodes of the halves of one network on one target."""

    def __init__(
        self, graph: Graph, target: Target, model: ModelSpec, weights: Weights, instruments: Instruments, prefix: str
    ) -> None:
        """`weights` are those of the part. UsageError for a model that is no module."""
        (self._part,) = model.parts
        recipe = self._part.recipe or target.recipe
        if graph.kind(weights.float) != _MODULE:
            reason = f"{self._part.model.name!r} comes as a file, and only a module can be given an exit"
            raise UsageError(reason, file=model.file, key="assembly.parts", hint='use = "lifted" makes it one')
        self._graph, self._target, self._model, self._weights = graph, target, model, weights
        self._instruments, self._prefix = instruments, prefix
        self._modules, self._files = _apart(recipe)

    def parts(self, runtime: Runtime, joining: Joining, files: Sequence[Measurements]) -> tuple[Built, Built]:
        """Both halves for one runtime; `files` measure theirs."""
        first, rest = self._halves(runtime, cast(EarlyExit, joining))
        names = joining.files
        own = replace(self._weights, float=first)
        exit_ = self._built(names[0], own, runtime, files[0], Signature(self._signature.inputs, ()))
        data = self._carried(first, exit_, runtime)
        others = replace(self._weights, float=rest, data=data)
        return exit_, self._built(
            names[1], others, runtime, replace(files[1], data=data), Signature((), self._signature.outputs)
        )

    @property
    def _signature(self) -> Signature:
        return self._model.declared.signature

    def _halves(self, runtime: Runtime, how: EarlyExit) -> tuple[str, str]:
        """Ids of the two modules, which are the same for all runtimes."""
        whole = self._recipes(self._modules, self._weights, f"{self._prefix}/{self._part.name}").chain(runtime)
        step = AddExit(how.after, how.grid, how.alpha, how.temperature, self._model.file)
        inputs = {"model": whole.unconverted, "data": self._weights.data}
        first = self._graph.add(f"{self._prefix}/{how.files[0]}", Node(step, inputs, _MODULE))
        return first, self._graph.add(f"{self._prefix}/{how.files[1]}", Node(TakeRest(), {"model": first}, _MODULE))

    def _recipes(self, recipe: Recipe, weights: Weights, prefix: str) -> Recipes:
        target = replace(self._target, recipe=recipe)
        return Recipes(self._graph, target, self._part.model, weights, prefix, frozenset(), self._instruments)

    def _built(self, name: str, weights: Weights, runtime: Runtime, files: Measurements, signature: Signature) -> Built:
        spec = PartSpec(name, self._part.model, self._part.recipe, self._part.key)
        chain = self._recipes(self._files, weights, f"{self._prefix}/{name}").chain(runtime)
        return Built(spec, chain, files, weights, signature)

    def _carried(self, first: str, part: Built, runtime: Runtime) -> str:
        """The data with what the exit's file gives the rest."""
        everywhere, chain = part.files.everywhere(), part.chain
        answers = {
            "test": part.files.outputs(everywhere, chain, chain.candidate, "candidate"),
            "validation": part.files.outputs(everywhere, chain, chain.candidate, "validation", split="validation"),
        }
        node = Node(CarryFeatures(), {"first": first, "data": self._weights.data, **answers}, "data")
        return self._graph.add(f"{self._prefix}/{runtime.format}/features", node)


def _apart(recipe: Recipe) -> tuple[Recipe, Recipe]:
    """The steps on the module, and those on its files."""
    modules, files = list[StepSpec](), list[StepSpec]()
    for line in recipe.steps:
        kind = STEPS.get(line.use, file=line.file, key=f"{line.key}.use")
        (modules if _MODULE in kind.consumes else files).append(line)
    return replace(recipe, steps=tuple(modules)), replace(recipe, steps=tuple(files))
