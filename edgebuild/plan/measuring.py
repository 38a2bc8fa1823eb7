"""Plans the evidence for a model on a target: which device measures what, and the verdicts made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import proving, sampling
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import resampled, stopping
from edgebuild.plan.measurements import Measurements, Pair
from edgebuild.plan.packages import need
from edgebuild.plan.recipe import Chain
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec import tasks
from edgebuild.spec.artifact import Step
from edgebuild.spec.core import TimeModel
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS, GATES, STEPS
from edgebuild.spec.source import Source
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.spec.target import Roofline as Rates
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.judge import Judge
from edgebuild.steps.evidence.latency import Latency
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.predict import Predict
from edgebuild.steps.evidence.processes import Processes
from edgebuild.steps.evidence.roofline import Roofline
from edgebuild.steps.evidence.scores import Scores
from edgebuild.steps.evidence.source_parity import SourceParity


@dataclass(frozen=True, slots=True)
class Files:
    """A pair of files that are finished: no chain of steps leads to them."""

    runtime: Runtime
    candidate: str
    baseline: str


class Measuring:
    """Adds the evidence nodes of one model on one target."""

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
        """`data` is the id of the held-out examples; no device is asked yet."""
        self._graph, self._target, self._data, self._prefix = graph, target, data, prefix
        self._instruments, self._declared, self._gates = instruments, model.declared, gates
        self._heads, self._model, self._file = model.declared.heads, model.name, model.file
        unnamed = tuple(replace(head, labels=()) for head in self._heads)
        self._read = tuple(output.name for output in model.declared.signature.outputs), unnamed
        self._tasks, self._loops = task_code(model), model.declared.signature.loops
        self._files = Measurements(graph, target, unnamed, data, instruments, prefix, gates)
        self.evidence: dict[str, str] = {}

    def judge(self, chains: Sequence[Chain], weights: Weights) -> str:
        """Add all evidence for the chains, made of the float model of `weights`, and the node that judges it."""
        self.gather(chains, weights)
        return self._verdicts(chains, self._target.recipe, weights.source)

    def gather(self, chains: Sequence[Chain], weights: Weights) -> None:
        """Add all evidence for the chains, made of the float model of `weights`."""
        for chain in chains:
            self._conversion(chain, weights)
        self._on_devices(chains)
        for chain in chains:
            self.add(chain.runtime, "proof", *proving.proof(self._files, chain, weights), self._tasks)

    def count(self, chains: Sequence[Chain], weights: Weights) -> None:
        """Add what is known of files before anybody looks at their answers: what they weigh, their memory and time."""
        for chain in chains:
            self._weigh(chain, weights)
            self._arena(chain)
        self._time(chains)

    def answer(self, chain: Chain, weights: Weights) -> None:
        """Add what a file answers, beside the float model's own file and the model that it was made of."""
        self._conversion(chain, weights)
        self.compare(chain)

    def compare(self, chain: Pair) -> None:
        """Add what a file answers beside the float model's own."""
        self._answered(chain)

    def judge_again(self, files: Files, carried: Mapping[str, str]) -> str:
        """Measure finished files on the devices and judge them with evidence that no device changes, by role."""
        self.evidence |= carried
        self._on_devices([files])
        return self._verdicts([files], Recipe())

    def _on_devices(self, chains: Sequence[Pair]) -> None:
        for chain in chains:
            self._answered(chain)
            self._arena(chain)
        self._latency(chains)
        self._processes(chains)

    def _verdicts(self, chains: Sequence[Pair], recipe: Recipe, source: Source | None = None) -> str:
        files = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        files |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        return self.verdicts([chain.runtime for chain in chains], files, recipe, source)

    def verdicts(
        self, runtimes: Sequence[Runtime], files: Mapping[str, str], recipe: Recipe, source: Source | None = None
    ) -> str:
        """The node that judges all evidence; it says what to do next by the recipe and the source, where known.

        `files` are both of each format, where the candidate is one file: it may be the baseline's very bytes.
        """
        formats = tuple(runtime.format for runtime in runtimes)
        steps = tuple(line.use for line in recipe.steps)
        # What is said to whom a gate stops, the techniques say themselves.
        codes = (*(GATES.module(gate.metric) for gate in self._gates), *map(STEPS.module, sorted({*steps})))
        taken = (True, "") if source is None else (source.trainable, source.instead)
        judge = Judge(self._gates, formats, len(self._target.runtimes), recipe.name, steps, *taken)
        node = Node(judge, self.evidence | dict(files), "verdicts", code=codes)
        self.evidence["verdicts"] = self._graph.add(f"{self._prefix}/judge", node)
        return self.evidence["verdicts"]

    def fingerprints(self) -> dict[str, dict[str, str]]:
        """What each piece of evidence was measured on, by role; without those that nothing was measured for."""
        measured = {role: self._graph.fingerprint(item) for role, item in self._measured().items()}
        return {role: facts for role, facts in measured.items() if facts}

    def _measured(self) -> dict[str, str]:
        """Evidence that this plan itself gathers."""
        nodes = self._graph.nodes
        return {role: item for role, item in self.evidence.items() if role != "verdicts" and item in nodes}

    def _conversion(self, chain: Chain, weights: Weights) -> None:
        """Parity and footprint of one format: what can only be told beside the models that it was made of."""
        instrument, everywhere = self._instruments.best("outputs"), self._files.everywhere()
        reference = self._files.reference(weights, chain.unconverted, "reference")
        converted = self._files.outputs(everywhere, chain, chain.converted, "float")
        candidate = self._files.outputs(everywhere, chain, chain.candidate, "candidate")
        parity = {"reference": reference, "converted": converted, "candidate": candidate}
        if everywhere is not instrument:
            parity["device_converted"] = sampling.few(self._files, instrument, chain, chain.converted, "device-float")
            parity["device_candidate"] = sampling.candidate(self._files, instrument, chain, self._here(chain))
        self.add(chain.runtime, "parity", Parity(*self._read), parity, self._tasks)
        if (original := self._files.original(weights, "original")) is not None:
            baseline = self._files.outputs(everywhere, chain, chain.baseline, "baseline")
            both = {"original": original, "baseline": baseline}
            second = self._files.second(weights, chain.runtime.format, "second-opinion")
            both |= {} if second is None else {"second": second}
            self.add(chain.runtime, "source-parity", SourceParity(self._read[0]), both)
        self._weigh(chain, weights)

    def _weigh(self, chain: Chain, weights: Weights) -> None:
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        weight = self._files.weight(chain, files, (chain.unconverted, weights.float), "footprint")
        self.evidence[f"footprint/{chain.runtime.format}"] = weight

    def _answered(self, chain: Pair) -> None:
        """What both files answer; where the device takes only some examples, with how far it agrees with the host.

        How far the baseline agrees with the host is told and widens no bound: it is the yardstick, and means the
        float model as this machine answers. Bounding its difference too, from as many examples as are affordable,
        would cost more than the usual margin.
        """
        instrument, everywhere = self._instruments.best("outputs"), self._files.everywhere()
        pairs = self._here(chain) | {"data": self._data}
        if self._loops:
            self._in_streams(chain, instrument, pairs)
            return
        if everywhere is not instrument:
            there = sampling.few(self._files, instrument, chain, chain.baseline, "device-baseline")
            both = {"device": there, "host": pairs["baseline"]}
            self.add(chain.runtime, "baseline-agreement", Agreement(*self._read), both, self._tasks)
        device = None
        if instrument.device.examples is not None:
            device = sampling.candidate(self._files, instrument, chain, pairs)
        self.judged(chain.runtime, pairs, device)

    def judged(self, runtime: Runtime, pairs: dict[str, str], device: str | None) -> None:
        """What is judged of outputs to all held-out examples, `candidate` and `baseline` by role; `device` has those of
        the candidate to some, where the device takes no more.
        """
        if any(tasks.of(head).choice for head in self._heads):
            self._accuracy(runtime, pairs, device)
        self._scores(runtime, pairs | ({"candidate": device} if device else {}))

    def _in_streams(self, chain: Pair, instrument: Instrument, pairs: dict[str, str]) -> None:
        """What is judged where states come back: each file going through the streams, on the device that takes all, and
        the candidate on the device that takes some, as far as it gets; choices are those of the former.
        """
        everywhere, files = self._files.everywhere(), {"candidate": chain.candidate, "baseline": chain.baseline}
        own = pairs | {
            role: self._files.outputs(everywhere, chain, file, f"{role}-streams", loops=self._loops)
            for role, file in files.items()
        }
        choosing = tuple(head for head in self._heads if tasks.of(head).choice)
        if choosing:
            self.add(chain.runtime, "accuracy", Accuracy(choosing), own, self._tasks)
        if everywhere is not instrument:
            there = sampling.streams(self._files, instrument, chain, self._loops)
            own = own | {"candidate": there}
        self._scores(chain.runtime, own)

    def _here(self, chain: Pair) -> dict[str, str]:
        """What both files answer to all held-out examples, by role: here, where the device takes only some."""
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        return {role: self._files.outputs(self._files.everywhere(), chain, file, role) for role, file in files.items()}

    def _accuracy(self, runtime: Runtime, pairs: dict[str, str], device: str | None) -> None:
        """Right answers of all examples; where the device takes only some, with how far it agrees with the host."""
        if device is not None:
            both = {"device": device, "host": pairs["candidate"]}
            agreement = self.add(runtime, "agreement", Agreement(*self._read), both, self._tasks)
            pairs = pairs | {"agreement": agreement, "device": device}
        choosing = tuple(head for head in self._heads if tasks.of(head).choice)
        self.add(runtime, "accuracy", Accuracy(choosing), pairs, self._tasks)

    def answers(self, chain: Pair) -> str:
        """What the candidate answers to all held-out examples."""
        return self._here(chain)["candidate"]

    def _arena(self, chain: Pair) -> None:
        """Memory that the runtime sets aside, where a gate asks for it."""
        if stopping(self._gates, "arena"):
            kind, name = FORMATS.get(chain.runtime.format), FORMATS.module(chain.runtime.format)
            files = {"candidate": chain.candidate, "baseline": chain.baseline}
            self.add(chain.runtime, "arena", Arena(), files, (name,), kind.tools)

    def _scores(self, runtime: Runtime, own: dict[str, str]) -> None:
        """Metrics by bootstrap, on the device's own answers, also where these are of some examples."""
        metrics = resampled(self._gates, self._heads)
        if metrics:
            kinds = [GATES.get(name) for _, name, _ in metrics]
            for kind in kinds:
                need(kind.requires, f"a metric of {self._model}", file=self._file, key="task", extra=kind.extra)
            codes = (*(GATES.module(name) for _, name, _ in metrics), *self._tasks)
            tools = tuple(sorted({name for kind in kinds for name in kind.requires}))
            names = {head.name: head.labels for head in self._heads if head.labels}
            self.add(runtime, "scores", Scores(metrics, names), own, codes, tools)

    def add(
        self,
        runtime: Runtime,
        kind: str,
        step: Step,
        inputs: dict[str, str],
        code: tuple[str, ...] = (),
        tools: tuple[str, ...] = (),
    ) -> str:
        """Keep a step that gathers evidence of this kind on one format; its id."""
        name, node = runtime.format, Node(step, inputs, "evidence", code=code, tools=tools)
        self.evidence[f"{kind}/{name}"] = self._graph.add(f"{self._prefix}/{name}/{kind}", node)
        return self.evidence[f"{kind}/{name}"]

    def _latency(self, chains: Sequence[Pair]) -> None:
        """Time on the target's device; beside a device that only counts, also time on this machine."""
        self._time(chains)
        if self._instruments.declares("latency") and self._instruments.best("latency").fidelity == "emulated":
            self.keep("host-latency", self._timed(self._instruments.host, chains))

    def _time(self, chains: Sequence[Pair]) -> None:
        hardware, formats = self._target.hardware, tuple(chain.runtime.format for chain in chains)
        if hardware.roofline is not None and not self._instruments.declares("latency"):
            self.keep("latency", self.estimated(hardware.roofline, formats))
            return
        instrument = self._instruments.best("latency")
        if instrument.fidelity != "emulated":
            self.keep("latency", self._timed(instrument, chains))
        elif (counter := self._files.counter()) is not None:
            self.keep("latency", self._predicted(*counter, chains))
        elif hardware.roofline is not None:
            self.keep("latency", self.estimated(hardware.roofline, formats))
        else:  # time under an emulator is never evidence
            self.keep("latency", self._timed(self._instruments.host, chains))

    def estimated(self, rates: Rates, formats: tuple[str, ...]) -> Node:
        """Lower bounds of the time from what all files weigh."""
        footprints = {role: item for role, item in self.evidence.items() if role.startswith("footprint/")}
        return Node(Roofline(rates, formats), footprints, "evidence")

    def keep(self, name: str, node: Node) -> None:
        """Keep a step that gathers evidence of this kind on all formats."""
        self.evidence[name] = self._graph.add(f"{self._prefix}/{name}", node)

    def _processes(self, chains: Sequence[Pair]) -> None:
        """Where a gate asks for it, starts, memory and tails; an emulator's are not the device's, so this machine's."""
        gates = stopping(self._gates, "processes")
        if gates and self._instruments.declares("latency"):
            instrument = self._instruments.best("latency")
            measured = self._instruments.host if instrument.fidelity == "emulated" else instrument
            self.keep("processes", self._run_timed(Processes, measured, chains, gates))

    def _timed(self, instrument: Instrument, chains: Sequence[Pair]) -> Node:
        """All files of all formats, interleaved in one process."""
        return self._run_timed(Latency, instrument, chains, stopping(self._gates, "latency"))

    def _run_timed(
        self,
        kind: type[Latency] | type[Processes],
        instrument: Instrument,
        chains: Sequence[Pair],
        gates: tuple[Gate, ...],
    ) -> Node:
        """All files of all formats on a device that times, until the gates are settled."""
        runtimes = tuple(instrument.runtime(chain.runtime) for chain in chains)
        formats = [runtime.format for runtime in runtimes]
        files = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        files |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        return Node(
            kind(instrument.device, instrument.fidelity, runtimes, self._target.timing, gates),
            files | {"data": self._data},
            "evidence",
            code=(*instrument.code(*formats), *sorted({GATES.module(gate.metric) for gate in gates})),
            tools=("scipy", *(FORMATS.get(name).runtime for name in formats)),
            facts=instrument.fingerprint,
        )

    def _predicted(self, instrument: Instrument, model: TimeModel, chains: Sequence[Pair]) -> Node:
        """Seconds from the counted work of every file."""
        counted = {}
        for chain in chains:
            for role, file in (("candidate", chain.candidate), ("baseline", chain.baseline)):
                counted[f"{role}/{chain.runtime.format}"] = self._files.count(instrument, chain, file, role, model)
            files = {"candidate": chain.candidate, "baseline": chain.baseline}
            counted[f"shared/{chain.runtime.format}"] = self._files.shared(chain, files, "shared")
        runtimes = tuple(chain.runtime for chain in chains)
        return Node(Predict(model, self._target.hardware.core_clock, runtimes), counted, "evidence")
