"""Plans the evidence on an assembly as a whole, of its parts' files: in a build, and of a bundle that is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import sampling
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import stopping
from edgebuild.plan.measurements import Measurements, Pair
from edgebuild.plan.measuring import Files, Measuring
from edgebuild.plan.weights import task_code
from edgebuild.spec.checked import check
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import ASSEMBLIES, Joined, Joining
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.steps.assemblies.joined_arena import JoinedArena
from edgebuild.steps.assemblies.joined_count import JoinedCount
from edgebuild.steps.assemblies.joined_latency import JoinedLatency
from edgebuild.steps.assemblies.joined_outputs import JoinedOutputs
from edgebuild.steps.assemblies.joined_parts import JoinedParts
from edgebuild.steps.assemblies.joined_shared import JoinedShared
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.predict import Predict


@dataclass(frozen=True, slots=True)
class PartFiles:
    """A part's file beside the float file of the whole, and what measures it."""

    name: str
    pair: Pair
    files: Measurements


@dataclass(frozen=True, slots=True)
class Whole:
    """An assembly for one runtime: its parts, a pair with the float file, ids of what decides which part answers and of
    the whole's answers here.
    """

    runtime: Runtime
    parts: tuple[PartFiles, ...]
    pair: Pair
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


class JoinedMeasuring:
    """Adds the evidence nodes of one assembly on one target."""

    def __init__(
        self,
        graph: Graph,
        target: Target,
        model: ModelSpec,
        data: str,
        instruments: Instruments,
        prefix: str,
        gates: tuple[Gate, ...],
    ) -> None:
        """`data` is the id of the held-out examples. UsageError for parts that do not fit, and for a gate that nothing
        measures of several files.
        """
        self._graph, self._target, self._data, self._prefix = graph, target, data, prefix
        self._instruments, self._gates = instruments, gates
        self.joining = joining_of(model)
        self._names = names_of(model, self.joining)
        self.measuring = Measuring(graph, target, model, data, instruments, prefix, gates)
        self._heads = tuple(replace(head, labels=()) for head in model.declared.heads)
        self._read = tuple(output.name for output in model.declared.signature.outputs), self._heads
        self._files = Measurements(graph, target, self._heads, data, instruments, prefix, gates)
        self._tasks = task_code(model)
        self._code = (ASSEMBLIES.module(use(model)), self.joining.router)
        for gate in stopping(gates, "processes"):
            reason = f"{gate.metric} {gate.limit!r} is measured of one file in a process, and this is an assembly"
            hint = f'a budget {gate.metric} = "none" leaves it out'
            raise UsageError(reason, file=model.file, key="assembly", hint=hint)

    def of_part(self, name: str) -> Measurements:
        """What measures a part's files."""
        return replace(self._files, prefix=f"{self._prefix}/{name}")

    def here(self, parts: Sequence[PartFiles]) -> dict[str, str]:
        """What each part's file answers to all held-out examples, by name."""
        everywhere = self._files.everywhere()
        return {
            part.name: part.files.outputs(everywhere, part.pair, part.pair.candidate, "candidate") for part in parts
        }

    def whole(self, runtime: Runtime, parts: tuple[PartFiles, ...], pair: Pair, rule: str) -> Whole:
        """The assembly of finished parts."""
        return Whole(runtime, parts, pair, rule, self.joined(runtime, rule, self.here(parts), "candidate"))

    def judge_again(
        self, runtime: Runtime, candidates: Mapping[str, str], baseline: str, rule: str, known: Mapping[str, str]
    ) -> str:
        """Measure finished parts, by name, on the devices and judge the whole of them.

        `known` has evidence that no device changes, by role; of that, `joined/<format>` says what each part weighs.
        """
        built = f"joined/{runtime.format}"
        self.measuring.evidence |= {role: item for role, item in known.items() if role != built}
        pairs = {name: Files(runtime, candidates[name], baseline) for name in self._names}
        parts = tuple(PartFiles(name, pair, self.of_part(name)) for name, pair in pairs.items())
        whole = self.whole(runtime, parts, Files(runtime, baseline, baseline), rule)
        self.answered(whole)
        self.arena(whole)
        self.latency([whole])
        self.parts(whole, {"built": known[built]})
        return self.measuring.verdicts([runtime], {f"baseline/{runtime.format}": baseline}, Recipe())

    def joined(self, runtime: Runtime, rule: str, answers: Mapping[str, str], role: str) -> str:
        """The whole's answers of its parts' on one device."""
        inputs = {f"answers/{part}": item for part, item in answers.items()}
        node = Node(
            JoinedOutputs(self.joining, self._names),
            {"rule": rule, "data": self._data, **inputs},
            "outputs",
            code=self._code,
        )
        return self._graph.add(f"{self._prefix}/{runtime.format}/joined-{role}", node)

    def sampled(self, part: PartFiles, instrument: Instrument) -> str:
        """What a part answers on a device that takes few examples."""
        return sampling.part(part.files, instrument, part.pair, 1 / len(self._names))

    def answered(self, whole: Whole) -> None:
        """What is judged of the answers of the whole: here of all examples, and of some on a device that takes few."""
        instrument, everywhere, chain = self._instruments.best("outputs"), self._files.everywhere(), whole.pair
        baseline = self._files.outputs(everywhere, chain, chain.baseline, "baseline")
        device = None
        if everywhere is not instrument:
            there = sampling.few(self._files, instrument, chain, chain.baseline, "device-baseline")
            both = {"device": there, "host": baseline}
            self.measuring.add(whole.runtime, "baseline-agreement", Agreement(*self._read), both, self._tasks)
            sampled = {part.name: self.sampled(part, instrument) for part in whole.parts}
            device = self.joined(whole.runtime, whole.rule, sampled, "device")
        pairs = {"candidate": whole.runs, "baseline": baseline, "data": self._data}
        self.measuring.judged(whole.runtime, pairs, device)

    def arena(self, whole: Whole) -> None:
        """Memory that the runtimes of all parts set aside, where a gate asks for it."""
        if not stopping(self._gates, "arena"):
            return
        kind, name = FORMATS.get(whole.runtime.format), FORMATS.module(whole.runtime.format)
        arenas = {}
        for part in whole.parts:
            files = {"candidate": part.pair.candidate, "baseline": whole.pair.baseline}
            node = Node(Arena(), files, "evidence", code=(name,), tools=kind.tools)
            label = f"{part.files.prefix}/{whole.runtime.format}/arena"
            arenas[f"arena/{part.name}"] = self._graph.add(label, node)
        self.measuring.add(whole.runtime, "arena", JoinedArena(self._names), arenas)

    def latency(self, wholes: Sequence[Whole]) -> None:
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

    def _timed(self, instrument: Instrument, wholes: Sequence[Whole]) -> Node:
        """All parts and baselines of all formats, interleaved in one process."""
        runtimes, gates = tuple(instrument.runtime(whole.runtime) for whole in wholes), stopping(self._gates, "latency")
        inputs = {"data": self._data}
        for whole in wholes:
            name = whole.runtime.format
            inputs |= {f"part/{name}/{part.name}": part.pair.candidate for part in whole.parts}
            own = {part.name: part.files.data for part in whole.parts if part.files.data != self._data}
            inputs |= {f"fed/{name}/{part}": data for part, data in own.items()}
            inputs |= {f"baseline/{name}": whole.pair.baseline, f"runs/{name}": whole.runs}
        formats = [runtime.format for runtime in runtimes]
        return Node(
            JoinedLatency(instrument.device, instrument.fidelity, runtimes, self._names, self._target.timing, gates),
            inputs,
            "evidence",
            code=(*instrument.code(*formats), *sorted({GATES.module(gate.metric) for gate in gates})),
            tools=("scipy", *(FORMATS.get(name).runtime for name in formats)),
            facts=instrument.fingerprint,
        )

    def _counted(self, instrument: Instrument, model: TimeModel, whole: Whole) -> dict[str, str]:
        """The work of each part's file, by role."""
        return {
            f"count/{part.name}": part.files.count(instrument, part.pair, part.pair.candidate, "candidate", model)
            for part in whole.parts
        }

    def _predicted(self, instrument: Instrument, model: TimeModel, wholes: Sequence[Whole]) -> Node:
        """Seconds from the counted work of every part."""
        inputs: dict[str, str] = {}
        for whole in wholes:
            name, label = whole.runtime.format, f"{self._prefix}/{whole.runtime.format}"
            counted = self._counted(instrument, model, whole) | {"runs": whole.runs}
            shared = {
                f"shared/{part.name}": part.files.shared(
                    part.pair, {"candidate": part.pair.candidate, "baseline": whole.pair.baseline}, "shared"
                )
                for part in whole.parts
            }
            candidate = Node(JoinedCount(self._names), counted, "evidence")
            inputs[f"candidate/{name}"] = self._graph.add(f"{label}/joined-count", candidate)
            inputs[f"baseline/{name}"] = self._files.count(
                instrument, whole.pair, whole.pair.baseline, "baseline", model
            )
            both = Node(JoinedShared(self._names), shared, "evidence")
            inputs[f"shared/{name}"] = self._graph.add(f"{label}/joined-shared", both)
        runtimes = tuple(whole.runtime for whole in wholes)
        return Node(Predict(model, self._target.hardware.core_clock, runtimes), inputs, "evidence")

    def parts(self, whole: Whole, weights: Mapping[str, str]) -> None:
        """How often each part runs, what it weighs and takes: for the report, the mean and the worst case.

        `weights` are the footprints of the parts, or what a build has told of them, by role.
        """
        inputs = {"rule": whole.rule, "runs": whole.runs, **weights}
        step = JoinedParts(self._names, whole.runtime.format)
        if (counter := self._files.counter()) is not None:
            instrument, model = counter
            inputs |= self._counted(instrument, model, whole)
            step = replace(step, model=model, clock=self._target.hardware.core_clock, threads=whole.runtime.threads)
        elif self._instruments.declares("latency"):
            name = "host-latency" if "host-latency" in self.measuring.evidence else "latency"
            inputs["times"] = self.measuring.evidence[name]
        self.measuring.add(whole.runtime, "joined", step, inputs)


def use(model: ModelSpec) -> str:
    """The kind of assembly that a model declares."""
    assert model.declared.joining is not None
    return model.declared.joining.use


def names_of(model: ModelSpec, joining: Joining) -> tuple[str, ...]:
    """What the files of an assembly are called."""
    return joining.files or tuple(part.name for part in model.parts)
