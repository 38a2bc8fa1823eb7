"""Plans an assembly: the parts as any model is built, what joins them, and the evidence on the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import preflight, sampling
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import stopping
from edgebuild.plan.measurements import Measurements
from edgebuild.plan.measuring import Measuring
from edgebuild.plan.recipe import Chain, Recipes
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec.checked import check
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import ASSEMBLIES, Joined, Joining
from edgebuild.spec.model import ModelSpec, PartSpec
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.steps.assemblies.choose_rule import ChooseRule
from edgebuild.steps.assemblies.joined_arena import JoinedArena
from edgebuild.steps.assemblies.joined_count import JoinedCount
from edgebuild.steps.assemblies.joined_footprint import JoinedFootprint
from edgebuild.steps.assemblies.joined_latency import JoinedLatency
from edgebuild.steps.assemblies.joined_outputs import JoinedOutputs
from edgebuild.steps.assemblies.joined_parity import JoinedParity
from edgebuild.steps.assemblies.joined_parts import JoinedParts
from edgebuild.steps.assemblies.joined_shared import JoinedShared
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.predict import Predict
from edgebuild.steps.evidence.source_parity import SourceParity


@dataclass(frozen=True, slots=True)
class Built:
    """A part for one runtime: its chain, and what measures its files."""

    spec: PartSpec
    chain: Chain
    files: Measurements
    weights: Weights


@dataclass(frozen=True, slots=True)
class Assembled:
    """Ids of an assembly for one runtime: what decides which part answers, and the whole's answers here."""

    runtime: Runtime
    parts: tuple[Built, ...]
    whole: Chain
    rule: str
    runs: str


def joining_of(model: ModelSpec) -> Joining:
    """What joins the parts of an assembly; UsageError for an unknown kind or option, and parts that do not fit."""
    declared = model.declared.joining
    assert declared is not None
    kind = ASSEMBLIES.get(declared.use, file=model.file, key="assembly.use")
    joining: Joining = check(kind, declared.options, file=model.file, prefix="assembly")
    count, key = len(model.parts), "assembly.parts"
    if not kind.least <= count <= kind.most:
        many = str(kind.least) if kind.least == kind.most else f"{kind.least} or {kind.most}"
        raise UsageError(f"{declared.use!r} joins {many} parts, and {count} are declared", file=model.file, key=key)
    try:
        joining.check(_joined("the whole", model), [_joined(part.name, part.model) for part in model.parts])
    except ValueError as error:
        raise UsageError(str(error), file=model.file, key=key) from None
    return joining


def _joined(name: str, model: ModelSpec) -> Joined:
    declared = model.declared
    return Joined(name, declared.signature.bare, declared.heads, declared.preprocess)


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
        self.joining = joining_of(model)
        self._names = tuple(part.name for part in model.parts)
        self._own = weights[model.name]
        self.measuring = Measuring(graph, target, model, self._own.data, instruments, prefix, gates)
        self._heads = tuple(replace(head, labels=()) for head in model.declared.heads)
        self._read = tuple(output.name for output in model.declared.signature.outputs), self._heads
        self._files = Measurements(graph, target, self._heads, self._own.data, instruments, prefix, gates)
        self._tasks = task_code(model)
        self._code = (ASSEMBLIES.module(_use(model)), self.joining.router)
        for gate in stopping(gates, "processes"):
            reason = f"{gate.metric} {gate.limit!r} is measured of one file in a process, and this is an assembly"
            hint = f'a budget {gate.metric} = "none" leaves it out'
            raise UsageError(reason, file=model.file, key="assembly", hint=hint)

    def judge(self) -> tuple[list[Assembled], str]:
        """All that is built, and the node that judges it."""
        wholes = [self._assembled(runtime) for runtime in self._target.runtimes]
        for part in self._model.parts:
            of_part = f"{self._prefix}/{part.name}"
            preflight.add(self._graph, self._target, self._weights[part.model.name], self._instruments, of_part)
        for whole in wholes:
            self._conversion(whole)
            self._answered(whole)
            self._arena(whole)
        self._latency(wholes)
        for whole in wholes:
            self._parts(whole)
        files = {f"baseline/{whole.runtime.format}": whole.whole.baseline for whole in wholes}
        return wholes, self.measuring.verdicts([whole.runtime for whole in wholes], files, Recipe())

    def _assembled(self, runtime: Runtime) -> Assembled:
        parts = tuple(self._built(part, runtime) for part in self._model.parts)
        uncompressed = replace(self._target, recipe=Recipe())
        recipes = Recipes(self._graph, uncompressed, self._model, self._own, self._prefix)
        whole, rule = recipes.chain(runtime), self._rule(runtime, parts)
        everywhere = self._files.everywhere()
        here = {
            part.spec.name: part.files.outputs(everywhere, part.chain, part.chain.candidate, "candidate")
            for part in parts
        }
        return Assembled(runtime, parts, whole, rule, self._joined(runtime, rule, here, "candidate"))

    def _built(self, part: PartSpec, runtime: Runtime) -> Built:
        target = self._target if part.recipe is None else replace(self._target, recipe=part.recipe)
        weights, prefix = self._weights[part.model.name], f"{self._prefix}/{part.name}"
        recipes = Recipes(self._graph, target, part.model, weights, prefix, frozenset(), self._instruments)
        files = Measurements(self._graph, target, self._heads, self._own.data, self._instruments, prefix, self._gates)
        return Built(part, recipes.chain(runtime), files, weights)

    def _rule(self, runtime: Runtime, parts: Sequence[Built]) -> str:
        """What is chosen by the answers to validation examples: those that judge have no part in it."""
        everywhere = self._files.everywhere()
        answers = {
            f"answers/{part.spec.name}": part.files.outputs(
                everywhere, part.chain, part.chain.candidate, "validation", split="validation"
            )
            for part in parts
        }
        step = ChooseRule(self.joining, self._names, self._heads, self._model.declared.signature.bare, self._model.file)
        node = Node(step, {"data": self._own.data, **answers}, "rule", code=(*self._code, *self._tasks))
        return self._graph.add(f"{self._prefix}/{runtime.format}/rule", node)

    def _joined(self, runtime: Runtime, rule: str, answers: Mapping[str, str], role: str) -> str:
        """The whole's answers of its parts' on one device."""
        inputs = {f"answers/{part}": item for part, item in answers.items()}
        node = Node(
            JoinedOutputs(self.joining, self._names),
            {"rule": rule, "data": self._own.data, **inputs},
            "outputs",
            code=self._code,
        )
        return self._graph.add(f"{self._prefix}/{runtime.format}/joined-{role}", node)

    def _conversion(self, whole: Assembled) -> None:
        """Parity and footprint of every part, and of all together."""
        runtime = whole.runtime
        parity = {f"parity/{part.spec.name}": self._parity(part) for part in whole.parts}
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

    def _parity(self, part: Built) -> str:
        """How a part's files answer beside the model that they were made of."""
        instrument, everywhere, chain = self._instruments.best("outputs"), self._files.everywhere(), part.chain
        inputs = {
            "reference": part.files.reference(part.weights, chain.unconverted, "reference"),
            "converted": part.files.outputs(everywhere, chain, chain.converted, "float"),
            "candidate": part.files.outputs(everywhere, chain, chain.candidate, "candidate"),
        }
        if everywhere is not instrument:
            inputs["device_converted"] = sampling.few(part.files, instrument, chain, chain.converted, "device-float")
            inputs["device_candidate"] = self._sampled(part, instrument)
        node = Node(Parity(*self._read), inputs, "evidence", code=self._tasks)
        return self._graph.add(f"{part.files.prefix}/{chain.runtime.format}/parity", node)

    def _sampled(self, part: Built, instrument: Instrument) -> str:
        return sampling.part(part.files, instrument, part.chain, 1 / len(self._names))

    def _answered(self, whole: Assembled) -> None:
        """What is judged of the answers of the whole: here of all examples, and of some on a device that takes few."""
        instrument, everywhere, chain = self._instruments.best("outputs"), self._files.everywhere(), whole.whole
        baseline = self._files.outputs(everywhere, chain, chain.baseline, "baseline")
        device = None
        if everywhere is not instrument:
            there = sampling.few(self._files, instrument, chain, chain.baseline, "device-baseline")
            both = {"device": there, "host": baseline}
            self.measuring.add(whole.runtime, "baseline-agreement", Agreement(*self._read), both, self._tasks)
            sampled = {part.spec.name: self._sampled(part, instrument) for part in whole.parts}
            device = self._joined(whole.runtime, whole.rule, sampled, "device")
        pairs = {"candidate": whole.runs, "baseline": baseline, "data": self._own.data}
        self.measuring.judged(whole.runtime, pairs, device)

    def _arena(self, whole: Assembled) -> None:
        """Memory that the runtimes of all parts set aside, where a gate asks for it."""
        if not stopping(self._gates, "arena"):
            return
        kind, name = FORMATS.get(whole.runtime.format), FORMATS.module(whole.runtime.format)
        arenas = {}
        for part in whole.parts:
            files = {"candidate": part.chain.candidate, "baseline": whole.whole.baseline}
            node = Node(Arena(), files, "evidence", code=(name,), tools=kind.tools)
            label = f"{part.files.prefix}/{whole.runtime.format}/arena"
            arenas[f"arena/{part.spec.name}"] = self._graph.add(label, node)
        self.measuring.add(whole.runtime, "arena", JoinedArena(self._names), arenas)

    def _latency(self, wholes: Sequence[Assembled]) -> None:
        """As for one file: on the target's device, or from counted work beside time on this machine."""
        hardware, formats = self._target.hardware, tuple(whole.runtime.format for whole in wholes)
        measuring = self.measuring
        if hardware.roofline is not None and not self._instruments.declares("latency"):
            measuring.keep("latency", measuring.estimated(hardware.roofline, formats))
            return
        instrument = self._instruments.best("latency")
        if instrument.fidelity != "emulated":
            measuring.keep("latency", self._timed(instrument, wholes))
            return
        host = self._timed(self._instruments.host, wholes)
        if (counter := self._files.counter()) is not None:
            measuring.keep("latency", self._predicted(*counter, wholes))
        elif hardware.roofline is not None:
            measuring.keep("latency", measuring.estimated(hardware.roofline, formats))
        else:
            measuring.keep("latency", host)
        measuring.keep("host-latency", host)

    def _timed(self, instrument: Instrument, wholes: Sequence[Assembled]) -> Node:
        """All parts and baselines of all formats, interleaved in one process."""
        runtimes, gates = tuple(instrument.runtime(whole.runtime) for whole in wholes), stopping(self._gates, "latency")
        inputs = {"data": self._own.data}
        for whole in wholes:
            name = whole.runtime.format
            inputs |= {f"part/{name}/{part.spec.name}": part.chain.candidate for part in whole.parts}
            inputs |= {f"baseline/{name}": whole.whole.baseline, f"runs/{name}": whole.runs}
        formats = [runtime.format for runtime in runtimes]
        return Node(
            JoinedLatency(instrument.device, instrument.fidelity, runtimes, self._names, self._target.timing, gates),
            inputs,
            "evidence",
            code=(*instrument.code(*formats), *sorted({GATES.module(gate.metric) for gate in gates})),
            tools=("scipy", *(FORMATS.get(name).runtime for name in formats)),
            facts=instrument.fingerprint,
        )

    def _counted(self, instrument: Instrument, model: TimeModel, whole: Assembled) -> dict[str, str]:
        """The work of each part's file, by role."""
        return {
            f"count/{part.spec.name}": part.files.count(
                instrument, part.chain, part.chain.candidate, "candidate", model
            )
            for part in whole.parts
        }

    def _predicted(self, instrument: Instrument, model: TimeModel, wholes: Sequence[Assembled]) -> Node:
        """Seconds from the counted work of every part."""
        inputs: dict[str, str] = {}
        for whole in wholes:
            name, label = whole.runtime.format, f"{self._prefix}/{whole.runtime.format}"
            counted = self._counted(instrument, model, whole) | {"runs": whole.runs}
            shared = {
                f"shared/{part.spec.name}": part.files.shared(
                    part.chain, {"candidate": part.chain.candidate, "baseline": whole.whole.baseline}, "shared"
                )
                for part in whole.parts
            }
            candidate = Node(JoinedCount(self._names), counted, "evidence")
            inputs[f"candidate/{name}"] = self._graph.add(f"{label}/joined-count", candidate)
            inputs[f"baseline/{name}"] = self._files.count(
                instrument, whole.whole, whole.whole.baseline, "baseline", model
            )
            both = Node(JoinedShared(self._names), shared, "evidence")
            inputs[f"shared/{name}"] = self._graph.add(f"{label}/joined-shared", both)
        runtimes = tuple(whole.runtime for whole in wholes)
        return Node(Predict(model, self._target.hardware.core_clock, runtimes), inputs, "evidence")

    def _parts(self, whole: Assembled) -> None:
        """How often each part runs, what it weighs and takes: for the report, the mean and the worst case."""
        inputs = {"rule": whole.rule, "runs": whole.runs}
        inputs |= {f"footprint/{part.spec.name}": self._weight(part, whole) for part in whole.parts}
        step = JoinedParts(self._names, whole.runtime.format)
        if (counter := self._files.counter()) is not None:
            instrument, model = counter
            inputs |= self._counted(instrument, model, whole)
            step = replace(step, model=model, clock=self._target.hardware.core_clock, threads=whole.runtime.threads)
        elif self._instruments.declares("latency"):
            name = "host-latency" if "host-latency" in self.measuring.evidence else "latency"
            inputs["times"] = self.measuring.evidence[name]
        self.measuring.add(whole.runtime, "joined", step, inputs)


def _use(model: ModelSpec) -> str:
    assert model.declared.joining is not None
    return model.declared.joining.use
