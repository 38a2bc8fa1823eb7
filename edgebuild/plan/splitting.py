"""Plans a split model: the whole as any model is built and judged, the table of its cuts, and the two halves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from edgebuild.assemblies.split import Split
from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import preflight
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.joining import joining_of
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Chain, Recipes
from edgebuild.plan.weights import Weights
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec, PartSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Gate, Target
from edgebuild.steps.assemblies.split_rule import SplitRule
from edgebuild.steps.assemblies.tabulate_cuts import TabulateCuts
from edgebuild.steps.assemblies.take_half import TakeHalf
from edgebuild.steps.assemblies.with_fallback import WithFallback

EDGE, SERVER, FALLBACK = "edge", "server", "fallback"
_FORMAT = "onnx"  # the one whose files can be cut


@dataclass(frozen=True, slots=True)
class Halves:
    """Ids of the whole's chain, of the file of each part by name, and of what the router goes by."""

    chain: Chain
    files: Mapping[str, str]
    rule: str


class Splitting:
    """Adds the nodes of one split model on one target. The halves answer as the whole does, bit by bit, so the whole's
    evidence is theirs; only where they run is another matter, and the table of cuts says what that costs.
    """

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
        """UsageError for a target that runs no file which can be cut."""
        runtimes = tuple(runtime for runtime in target.runtimes if runtime.format == _FORMAT)
        if not runtimes:
            formats = ", ".join(runtime.format for runtime in target.runtimes)
            raise UsageError(
                f"only {_FORMAT} files are cut, and here is only {formats}", file=target.file, key="runtimes"
            )
        self._graph, self._model, self._weights = graph, model, weights
        self._target, self._instruments, self._prefix = replace(target, runtimes=runtimes), instruments, prefix
        self._gates = gates
        self.joining = cast(Split, joining_of(model))
        self._part, *others = model.parts
        self._fallback = others[0] if others else None
        recipe = self._part.recipe or target.recipe
        own = replace(self._target, recipe=recipe)
        self._own = weights[self._part.model.name]
        self.measuring = Measuring(graph, own, model, self._own.data, instruments, prefix, gates)

    def judge(self) -> tuple[Halves, str]:
        """The halves, and the node that judges the whole."""
        chain = self._chain(self._part, self._prefix)
        preflight.add(self._graph, self._target, self._own, self._instruments, self._prefix)
        self.measuring.gather([chain], self._own)
        cuts = self._cuts(chain)
        files = {half: self._half(chain, cuts, half) for half in (EDGE, SERVER)}
        node = Node(SplitRule(self.joining.timeout), {"cuts": cuts}, "rule")
        rule = self._graph.add(f"{self._prefix}/{_FORMAT}/rule", node)
        recipe = self._part.recipe or self._target.recipe
        verdicts = self.measuring.verdicts([chain], recipe, self._own.source)
        if self._fallback is not None:
            alone = self._chain(self._fallback, f"{self._prefix}/{FALLBACK}")
            files[FALLBACK] = alone.candidate
            verdicts = self._with_fallback(self._fallback, alone, verdicts)
        return Halves(chain, files, rule), verdicts

    def _with_fallback(self, part: PartSpec, chain: Chain, whole: str) -> str:
        """The verdicts with those on the fall-back alone, by the same gates: that is what answers without a link."""
        weights, prefix = self._weights[part.model.name], f"{self._prefix}/{FALLBACK}"
        target = replace(self._target, recipe=part.recipe or self._target.recipe)
        measuring = Measuring(self._graph, target, self._model, weights.data, self._instruments, prefix, self._gates)
        preflight.add(self._graph, self._target, weights, self._instruments, prefix)
        alone = measuring.judge([chain], weights)
        node = Node(WithFallback(FALLBACK), {"whole": whole, "fallback": alone}, "verdicts")
        own = {role: item for role, item in measuring.evidence.items() if role != "verdicts"}
        self.measuring.evidence |= {f"{FALLBACK}/{role}": item for role, item in own.items()}
        self.measuring.evidence["verdicts"] = self._graph.add(f"{self._prefix}/verdicts", node)
        return self.measuring.evidence["verdicts"]

    def _chain(self, part: PartSpec, prefix: str) -> Chain:
        target = self._target if part.recipe is None else replace(self._target, recipe=part.recipe)
        weights = self._weights[part.model.name]
        recipes = Recipes(self._graph, target, part.model, weights, prefix, frozenset(), self._instruments)
        return recipes.chain(target.runtimes[0])

    def _cuts(self, chain: Chain) -> str:
        step = TabulateCuts(self.joining.link, chain.runtime.threads, self.joining.edge, self._model.file)
        latency = self.measuring.evidence["latency"]
        inputs = {"model": chain.candidate, "latency": latency, "data": self._own.data}
        host = self._instruments.host
        node = Node(
            step, inputs, "evidence", code=host.code(_FORMAT), tools=FORMATS.get(_FORMAT).tools, facts=host.fingerprint
        )
        self.measuring.evidence[f"cuts/{_FORMAT}"] = self._graph.add(f"{self._prefix}/{_FORMAT}/cuts", node)
        return self.measuring.evidence[f"cuts/{_FORMAT}"]

    def _half(self, chain: Chain, cuts: str, half: str) -> str:
        step = TakeHalf(half)  # type: ignore[arg-type]
        node = Node(step, {"model": chain.candidate, "cuts": cuts}, _FORMAT, code=(FORMATS.module(_FORMAT),))
        return self._graph.add(f"{self._prefix}/{_FORMAT}/{half}", node)
