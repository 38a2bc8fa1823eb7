"""Plans an assembly: the parts as any model is built, what joins them, and the evidence on the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import preflight, sampling
from edgebuild.plan.deployed import Deployed
from edgebuild.plan.exiting import Exiting
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.joining import joining_of, names_of, use
from edgebuild.plan.measurements import Together
from edgebuild.plan.measuring import Files, Measuring
from edgebuild.plan.parts import FEATURES, Built
from edgebuild.plan.recipe import Chain, Recipes
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.model import ModelSpec, PartSpec
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.steps.assemblies.choose_rule import ChooseRule
from edgebuild.steps.assemblies.joined_footprint import JoinedFootprint
from edgebuild.steps.assemblies.joined_parity import JoinedParity
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.source_parity import SourceParity


@dataclass(frozen=True, slots=True)
class Assembled:
    """An assembly for one runtime: its parts, the float model's own chain, what is deployed, and both sides of its
    comparison.
    """

    runtime: Runtime
    parts: tuple[Built, ...]
    whole: Chain
    deployed: Together
    pair: Files


class Assembling:
    """Adds the nodes of one assembly on one target."""

    def __init__(
        self,
        graph: Graph,
        target: Target,
        model: ModelSpec,
        weights: Mapping[str, Weights],
        instruments: Instruments,
        prefix: str,
        gates: tuple[Gate, ...],
    ) -> None:
        """`weights` has those of the whole and of each part's model, by name. UsageError for parts that do not fit, and
        for a gate that nothing measures of several files.
        """
        self._graph, self._target, self._model, self._weights = graph, target, model, weights
        self._instruments, self._prefix, self._gates = instruments, prefix, gates
        self._own = weights[model.name]
        self.joining = joining_of(model)
        self.measuring = Measuring(graph, target, model, self._own.data, instruments, prefix, gates)
        self._files, self._kind = self.measuring.files, use(model)
        self._names = names_of(model, self.joining)
        self._read = tuple(output.name for output in model.declared.signature.outputs), self._files.heads
        self._tasks = task_code(model)
        self._code = (ASSEMBLIES.module(self._kind), self.joining.router)

    def judge(self) -> tuple[list[Assembled], str]:
        """All that is built, and the node that judges it."""
        wholes = [self._assembled(runtime) for runtime in self._target.runtimes]
        for part in self._model.parts:
            of_part = f"{self._prefix}/{part.name}"
            preflight.add(self._graph, self._target, self._weights[part.model.name], self._instruments, of_part)
        for whole in wholes:
            self._conversion(whole)
        pairs = [whole.pair for whole in wholes]
        self.measuring.measure(pairs)
        for whole in wholes:
            weights = {f"footprint/{part.spec.name}": self._weight(part, whole) for part in whole.parts}
            self.measuring.parts(whole.pair, whole.deployed, weights)
        return wholes, self.measuring.verdicts(pairs, Recipe())

    def _assembled(self, runtime: Runtime) -> Assembled:
        parts = self._parts(runtime)
        uncompressed = replace(self._target, recipe=Recipe())
        recipes = Recipes(self._graph, uncompressed, self._model, self._own, self._prefix)
        whole, rule = recipes.chain(runtime), self._rule(runtime, parts)
        fed = {part.spec.name: part.files.data for part in parts if part.files.data != self._own.data}
        deployed = Together(self._kind, {part.spec.name: part.chain.candidate for part in parts}, rule, fed)
        return Assembled(runtime, parts, whole, deployed, Files(runtime, deployed, whole.baseline))

    def _parts(self, runtime: Runtime) -> tuple[Built, ...]:
        """A file of each part, or both halves of the one that has an exit."""
        if not self.joining.files:
            return tuple(self._built(part, runtime) for part in self._model.parts)
        (part,) = self._model.parts
        own = self._weights[part.model.name]
        exiting = Exiting(self._graph, self._target, self._model, own, self._instruments, self._prefix)
        return exiting.parts(runtime, self.joining, [self._files.of_part(name) for name in self._names])

    def _built(self, part: PartSpec, runtime: Runtime) -> Built:
        target = self._target if part.recipe is None else replace(self._target, recipe=part.recipe)
        weights, prefix = self._weights[part.model.name], f"{self._prefix}/{part.name}"
        recipes = Recipes(self._graph, target, part.model, weights, prefix, frozenset(), self._instruments)
        return Built(part, recipes.chain(runtime), self._files.of_part(part.name), weights)

    def _rule(self, runtime: Runtime, parts: Sequence[Built]) -> str:
        """What is chosen by the answers to validation examples: those that judge have no part in it."""
        everywhere = self._files.everywhere()
        answers = {
            f"answers/{part.spec.name}": part.files.outputs(
                everywhere, part.chain, part.chain.candidate, "validation", split="validation"
            )
            for part in parts
        }
        step = ChooseRule(
            self.joining, self._names, self._files.heads, self._model.declared.signature.bare, self._model.file
        )
        node = Node(step, {"data": self._own.data, **answers}, "rule", code=(*self._code, *self._tasks))
        return self._graph.add(f"{self._prefix}/{runtime.format}/rule", node)

    def _conversion(self, whole: Assembled) -> None:
        """Parity and footprint of every part, and of all together."""
        runtime = whole.runtime
        parity = {f"parity/{part.spec.name}": self._parity(part, whole) for part in whole.parts}
        self.measuring.add(runtime, "parity", JoinedParity(self._names), parity)
        if (original := self._files.original(self._own, "original")) is not None:
            baseline = self._files.outputs(self._files.everywhere(), whole.whole, whole.whole.baseline, "baseline")
            both = {"original": original, "baseline": baseline}
            self.measuring.add(runtime, "source-parity", SourceParity(self._read[0]), both)
        weighed = {f"footprint/{part.spec.name}": self._weight(part, whole) for part in whole.parts}
        self.measuring.add(runtime, "footprint", JoinedFootprint(self._names), weighed)

    def _weight(self, part: Built, whole: Assembled) -> str:
        files = {"candidate": part.chain.candidate, "baseline": whole.whole.baseline}
        return part.files.weight(part.chain, files, (part.chain.unconverted, self._own.float), "footprint")

    def _parity(self, part: Built, whole: Assembled) -> str:
        """How a part's files answer beside the model that they were made of."""
        instrument, everywhere, chain = self._instruments.best("outputs"), self._files.everywhere(), part.chain
        inputs = {
            "reference": part.files.reference(part.weights, chain.unconverted, "reference"),
            "converted": part.files.outputs(everywhere, chain, chain.converted, "float"),
            "candidate": part.files.outputs(everywhere, chain, chain.candidate, "candidate"),
        }
        if everywhere is not instrument:
            inputs["device_converted"] = sampling.few(part.files, instrument, chain, chain.converted, "device-float")
            sampled = Deployed(self._files).parts_sampled(instrument, whole.pair, whole.deployed)
            inputs["device_candidate"] = sampled[part.spec.name]
        names, heads = self._read
        crossing = (FEATURES,) if part.signature is not None and not part.signature.outputs else ()
        node = Node(Parity((*names, *crossing), heads), inputs, "evidence", code=self._tasks)
        return self._graph.add(f"{part.files.prefix}/{chain.runtime.format}/parity", node)
