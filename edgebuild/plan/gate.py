"""Plans a gate on a finished bundle: its files against the float model's and, where wanted, an earlier release's.

The steps are those of a build, so what a device has measured before is used again, and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Store
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import gates_of, regressions_of
from edgebuild.plan.measurements import Deployable, Together
from edgebuild.plan.measuring import Files, Measuring
from edgebuild.plan.splitting import EDGE, FALLBACK, SERVER
from edgebuild.plan.weights import plan_data
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Gate, Policy, Runtime, Target
from edgebuild.steps.assemblies.join_halves import JoinHalves
from edgebuild.steps.assemblies.with_fallback import WithFallback


@dataclass(frozen=True, slots=True)
class Shipped:
    """The files of a bundle: one without a name, or those of an assembly by the part's name, with its kind and the rule
    that decides which of them answer. Of a model that is cut in two `whole` is the file before, where that is known.
    """

    files: Mapping[str, Artifact]
    use: str = ""
    rule: Artifact | None = None
    whole: Artifact | None = None

    @property
    def cut(self) -> bool:
        """Whether it is one model that is cut in two."""
        return bool(self.use) and ASSEMBLIES.get(self.use).cuts


@dataclass(frozen=True, slots=True)
class Against:
    """What the candidate is held against; `carried` is evidence that no device changes, by its kind, and `fallback` the
    same of what answers at the edge of a model that is cut in two.
    """

    name: str
    shipped: Shipped
    carried: Mapping[str, Artifact]
    fallback: Mapping[str, Artifact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged, the float model's file that it is held against, and an earlier release where there is one.

    `policy` is what all releases must prove; `data` are the held-out examples, None where the model's own code must
    load them.
    """

    target: Target
    model: ModelSpec
    policy: Policy
    format: str
    candidate: Shipped
    float: Against
    release: Against | None
    data: Artifact | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Ids of one comparison's verdicts and evidence, with what its latency was measured on."""

    against: str
    verdicts: str
    evidence: Mapping[str, str]
    fingerprints: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class GatePlan:
    """The graph of a gate; `instrument` is the device that decides."""

    graph: Graph
    compared: tuple[Compared, ...]
    instrument: Instrument
    notices: tuple[str, ...] = field(default=())


def make(store: Store, subject: Subject) -> GatePlan:
    """The plan; UsageError for gates that mean nothing, DeviceError where no device can measure."""
    graph, target, model = Graph(), subject.target, subject.model
    instruments = Instruments(target)
    instrument = instruments.best("latency" if instruments.declares("latency") else "outputs")
    maker = _Maker(graph, store, subject, instruments)
    compared = [maker.compare("gate", subject.float, gates_of(target, model, subject.policy))]
    if subject.release is not None:
        counted = instruments.counter() is not None
        held = regressions_of(target, model, subject.policy, counted=counted)
        compared.append(maker.compare("regression", subject.release, held))
    return GatePlan(graph, tuple(compared), instrument, tuple(instruments.notices))


class _Maker:
    """Adds one comparison after the other."""

    def __init__(self, graph: Graph, store: Store, subject: Subject, instruments: Instruments) -> None:
        """Add what all comparisons share."""
        self._graph, self._subject, self._instruments = graph, subject, instruments
        self._prefix = f"{subject.target.name}/{subject.model.name}"
        self._runtime = _runtime(subject)
        if subject.data is not None:
            self._data = graph.add_source(f"{subject.model.name}/data", subject.data)
        else:
            _, self._data = plan_data(graph, store, subject.model)

    def compare(self, role: str, against: Against, gates: tuple[Gate, ...]) -> Compared:
        """Measure and judge the candidate against what is told; the fall-back of a model that is cut in two as well,
        where there is evidence of its build.
        """
        prefix, shipped = f"{self._prefix}/{role}", self._subject.candidate
        candidate = self._deployed(f"{self._prefix}/bundle", shipped)
        baseline = self._deployed(f"{prefix}/{against.name}", against.shipped)
        measuring = self._measuring(prefix, gates)
        pair = Files(self._runtime, candidate, baseline)
        verdicts = measuring.judge_again(pair, self._carried(prefix, against.carried))
        evidence = self._measured(measuring)
        if against.fallback:
            beside = self._measuring(f"{prefix}/{FALLBACK}", gates)
            file = self._graph.add_source(f"{self._prefix}/bundle/{FALLBACK}", shipped.files[FALLBACK])
            carried = self._carried(f"{prefix}/{FALLBACK}", against.fallback)
            alone = beside.judge_again(Files(self._runtime, file, baseline), carried)
            node = Node(WithFallback(FALLBACK), {"whole": verdicts, "fallback": alone}, "verdicts")
            verdicts = self._graph.add(f"{prefix}/verdicts", node)
            evidence |= {f"{FALLBACK}/{name}": item for name, item in self._measured(beside).items()}
            evidence["verdicts"] = verdicts
        return Compared(against.name, verdicts, evidence, measuring.fingerprints())

    def _measuring(self, prefix: str, gates: tuple[Gate, ...]) -> Measuring:
        target, model = self._subject.target, self._subject.model
        return Measuring(self._graph, target, model, self._data, self._instruments, prefix, gates)

    def _measured(self, measuring: Measuring) -> dict[str, str]:
        return {name: item for name, item in measuring.evidence.items() if item in self._graph.nodes}

    def _carried(self, prefix: str, carried: Mapping[str, Artifact]) -> dict[str, str]:
        return {
            f"{kind}/{self._runtime.format}": self._graph.add_source(f"{prefix}/{kind}", artifact)
            for kind, artifact in carried.items()
        }

    def _deployed(self, label: str, shipped: Shipped) -> Deployable:
        """The ids of what runs on the device: of a model that is cut in two, of its halves put together again."""
        if not shipped.use:
            (file,) = shipped.files.values()
            return self._graph.add_source(label, file)
        files = {part: self._graph.add_source(f"{label}/{part}", file) for part, file in shipped.files.items()}
        if shipped.cut:
            return self._rejoined(label, shipped, files)
        assert shipped.rule is not None
        return Together(shipped.use, files, self._graph.add_source(f"{label}/rule", shipped.rule))

    def _rejoined(self, label: str, shipped: Shipped, files: Mapping[str, str]) -> str:
        inputs = {half: files[half] for half in (EDGE, SERVER)} | {"data": self._data}
        if shipped.whole is not None:
            inputs["whole"] = self._graph.add_source(f"{label}/whole", shipped.whole)
        name, host = self._runtime.format, self._instruments.host
        step, tools = JoinHalves(self._runtime.threads), FORMATS.get(name).tools
        node = Node(step, inputs, name, code=host.code(name), tools=tools, facts=host.arithmetic)
        return self._graph.add(f"{label}/whole", node)


def _runtime(subject: Subject) -> Runtime:
    """What the target runs the bundle's file with."""
    for runtime in subject.target.runtimes:
        if runtime.format == subject.format:
            return runtime
    raise UsageError(f"has no runtime for {subject.format}", file=subject.target.file, key="runtimes")
