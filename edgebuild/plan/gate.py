"""Plans a gate on a finished bundle: its file against the float model's and, where wanted, an earlier release's.

The steps are those of a build, so what a device has measured before is used again, and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.joined import JoinedMeasuring
from edgebuild.plan.limits import gates_of, regressions_of
from edgebuild.plan.measuring import Files, Measuring
from edgebuild.plan.weights import plan_data
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.target import Gate, Policy, Runtime, Target


@dataclass(frozen=True, slots=True)
class Against:
    """A file that the candidate is held against; `carried` is evidence that no device changes, by its kind."""

    name: str
    file: Artifact
    carried: Mapping[str, Artifact]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a bundle's file, or its `parts` by name with the `rule` that decides which of them answer; the
    float model's, and an earlier release's where there is one.

    `policy` is what all releases must prove; `data` are the held-out examples, None where the model's own code must
    load them.
    """

    target: Target
    model: ModelSpec
    policy: Policy
    format: str
    candidate: Artifact | None
    float: Against
    release: Against | None
    data: Artifact | None
    parts: Mapping[str, Artifact] = field(default_factory=dict)
    rule: Artifact | None = None


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
        """Measure and judge the candidate against one file."""
        target, model, prefix = self._subject.target, self._subject.model, f"{self._prefix}/{role}"
        file = self._graph.add_source(f"{prefix}/{against.name}", against.file)
        carried = {
            f"{kind}/{self._runtime.format}": self._graph.add_source(f"{prefix}/{kind}", artifact)
            for kind, artifact in against.carried.items()
        }
        if self._subject.candidate is None:
            joined = JoinedMeasuring(self._graph, target, model, self._data, self._instruments, prefix, gates)
            measuring, verdicts = joined.measuring, self._of_parts(joined, file, carried)
        else:
            candidate = self._graph.add_source(f"{self._prefix}/bundle", self._subject.candidate)
            measuring = Measuring(self._graph, target, model, self._data, self._instruments, prefix, gates)
            verdicts = measuring.judge_again(Files(self._runtime, candidate, file), carried)
        evidence = {name: item for name, item in measuring.evidence.items() if item in self._graph.nodes}
        return Compared(against.name, verdicts, evidence, measuring.fingerprints())

    def _of_parts(self, joined: JoinedMeasuring, file: str, carried: Mapping[str, str]) -> str:
        subject = self._subject
        assert subject.rule is not None
        parts = {
            name: self._graph.add_source(f"{self._prefix}/bundle/{name}", artifact)
            for name, artifact in subject.parts.items()
        }
        rule = self._graph.add_source(f"{self._prefix}/bundle/rule", subject.rule)
        return joined.judge_again(self._runtime, parts, file, rule, carried)


def _runtime(subject: Subject) -> Runtime:
    """What the target runs the bundle's file with."""
    for runtime in subject.target.runtimes:
        if runtime.format == subject.format:
            return runtime
    raise UsageError(f"has no runtime for {subject.format}", file=subject.target.file, key="runtimes")
