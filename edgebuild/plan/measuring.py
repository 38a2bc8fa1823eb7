"""Plans the evidence for a model on a target: which device measures what, and the verdicts made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import proving, sampling
from edgebuild.plan.deployed import Deployed, both, by_role, sides
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import resampled, stopping
from edgebuild.plan.measurements import Deployable, Measurements, Pair, Together
from edgebuild.plan.packages import need
from edgebuild.plan.recipe import Chain
from edgebuild.plan.timing import Times
from edgebuild.plan.weights import Weights, task_code
from edgebuild.spec import tasks
from edgebuild.spec.artifact import Step
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS, GATES, STEPS
from edgebuild.spec.source import Source
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.steps.assemblies.joined_parts import JoinedParts
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.judge import Judge
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.scores import Scores
from edgebuild.steps.evidence.source_parity import SourceParity


@dataclass(frozen=True, slots=True)
class Files:
    """A pair of what is finished: no chain of steps leads to it."""

    runtime: Runtime
    candidate: Deployable
    baseline: Deployable


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
        self.files = Measurements(graph, target, unnamed, data, instruments, prefix, gates)
        self._deployed, self._times = Deployed(self.files), Times(self.files, model.file)
        self.evidence: dict[str, str] = {}

    def judge(self, chains: Sequence[Chain], weights: Weights) -> str:
        """Add all evidence for the chains, made of the float model of `weights`, and the node that judges it."""
        self.gather(chains, weights)
        return self.verdicts(chains, self._target.recipe, weights.source)

    def gather(self, chains: Sequence[Chain], weights: Weights) -> None:
        """Add all evidence for the chains, made of the float model of `weights`."""
        for chain in chains:
            self._conversion(chain, weights)
        self.measure(chains)
        for chain in chains:
            self.add(chain.runtime, "proof", *proving.proof(self.files, chain, weights), self._tasks)

    def count(self, chains: Sequence[Chain], weights: Weights) -> None:
        """Add what is known of files before anybody looks at their answers: what they weigh, their memory and time."""
        for chain in chains:
            self._weigh(chain, weights)
            self._arena(chain)
        self._keep("latency", self._times.time(chains, self.evidence))

    def answer(self, chain: Chain, weights: Weights) -> None:
        """Add what a file answers, beside the float model's own file and the model that it was made of."""
        self._conversion(chain, weights)
        self.compare(chain)

    def compare(self, chain: Pair) -> None:
        """Add what a file answers beside the float model's own."""
        self._answered(chain)

    def judge_again(self, files: Files, carried: Mapping[str, str]) -> str:
        """Measure what is finished on the devices and judge it with evidence that no device changes, by role; of that,
        `joined/<format>` says what each part weighs.
        """
        built = f"joined/{files.runtime.format}"
        self.evidence |= {role: item for role, item in carried.items() if role != built}
        self.measure([files])
        if isinstance(files.candidate, Together):
            self.parts(files, files.candidate, {"built": carried[built]})
        return self.verdicts([files], Recipe())

    def measure(self, pairs: Sequence[Pair]) -> None:
        """Add what devices tell of finished files."""
        for pair in pairs:
            self._answered(pair)
            self._arena(pair)
        for role, node in (*self._times.latency(pairs, self.evidence), *self._times.processes(pairs)):
            self._keep(role, node)

    def parts(self, pair: Pair, deployed: Together, weights: Mapping[str, str]) -> None:
        """How often each part of the candidate runs, what it weighs and takes: the mean of the whole, and the worst.

        `weights` are the footprints of the parts, or what a build has told of them, by role.
        """
        inputs = {"rule": deployed.rule, "runs": self._deployed.here(pair, deployed, "candidate"), **weights}
        step = JoinedParts(tuple(deployed.files), pair.runtime.format)
        if (counter := self.files.counter()) is not None:
            instrument, model = counter
            inputs |= self._deployed.counted(instrument, pair, deployed, model)
            step = replace(step, model=model, clock=self._target.hardware.core_clock, threads=pair.runtime.threads)
        elif self._instruments.declares("latency"):
            inputs["times"] = self.evidence["host-latency" if "host-latency" in self.evidence else "latency"]
        self.add(pair.runtime, "joined", step, inputs)

    def verdicts(self, pairs: Sequence[Pair], recipe: Recipe, source: Source | None = None) -> str:
        """The node that judges all evidence; it says what to do next by the recipe and the source, where known."""
        formats = tuple(pair.runtime.format for pair in pairs)
        steps = tuple(line.use for line in recipe.steps)
        # What is said to whom a gate stops, the techniques say themselves.
        codes = (*(GATES.module(gate.metric) for gate in self._gates), *map(STEPS.module, sorted({*steps})))
        taken = (True, "") if source is None else (source.trainable, source.instead)
        judge = Judge(
            self._gates, formats, len(self._target.runtimes), recipe.name, steps, *taken, failed=recipe.failed
        )
        node = Node(judge, self.evidence | self._judged_files(pairs), "verdicts", code=codes)
        self.evidence["verdicts"] = self._graph.add(f"{self._prefix}/judge", node)
        return self.evidence["verdicts"]

    @staticmethod
    def _judged_files(pairs: Sequence[Pair]) -> dict[str, str]:
        """All that decides what is run on both sides: they may be the very same."""
        inputs = dict[str, str]()
        for pair in pairs:
            for role, deployed in sides(pair).items():
                place = f"{role}/{pair.runtime.format}"
                inputs |= by_role(place, deployed)
                inputs |= {f"{place}/rule": deployed.rule} if isinstance(deployed, Together) else {}
        return inputs

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
        instrument, everywhere = self._instruments.best("outputs"), self.files.everywhere()
        reference = self.files.reference(weights, chain.unconverted, "reference")
        converted = self.files.outputs(everywhere, chain, chain.converted, "float")
        candidate = self.files.outputs(everywhere, chain, chain.candidate, "candidate")
        parity = {"reference": reference, "converted": converted, "candidate": candidate}
        if everywhere is not instrument:
            parity["device_converted"] = sampling.few(self.files, instrument, chain, chain.converted, "device-float")
            there = sampling.candidate(self.files, instrument, chain, chain.candidate, self._here(chain))
            parity["device_candidate"] = there
        self.add(chain.runtime, "parity", Parity(*self._read), parity, self._tasks)
        if (original := self.files.original(weights, "original")) is not None:
            baseline = self.files.outputs(everywhere, chain, chain.baseline, "baseline")
            both = {"original": original, "baseline": baseline}
            second = self.files.second(weights, chain.runtime.format, "second-opinion")
            both |= {} if second is None else {"second": second}
            self.add(chain.runtime, "source-parity", SourceParity(self._read[0]), both)
        self._weigh(chain, weights)

    def _weigh(self, chain: Chain, weights: Weights) -> None:
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        weight = self.files.weight(chain, files, (chain.unconverted, weights.float), "footprint")
        self.evidence[f"footprint/{chain.runtime.format}"] = weight

    def _answered(self, chain: Pair) -> None:
        """What both files answer; where the device takes only some examples, with how far it agrees with the host.

        How far the baseline agrees with the host is told and widens no bound: it is the yardstick, and means the
        float model as this machine answers. Bounding its difference too, from as many examples as are affordable,
        would cost more than the usual margin.
        """
        instrument, everywhere = self._instruments.best("outputs"), self.files.everywhere()
        pairs = self._here(chain) | {"data": self._data}
        if self._loops:
            self._in_streams(chain, instrument, pairs)
            return
        if everywhere is not instrument:
            there = self._deployed.few(instrument, chain, chain.baseline, "device-baseline")
            both = {"device": there, "host": pairs["baseline"]}
            self.add(chain.runtime, "baseline-agreement", Agreement(*self._read), both, self._tasks)
        device = None
        if instrument.device.examples is not None:
            device = self._deployed.sampled(instrument, chain, pairs)
        self._judged(chain.runtime, pairs, device)

    def _judged(self, runtime: Runtime, pairs: dict[str, str], device: str | None) -> None:
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
        everywhere, files = self.files.everywhere(), both(chain)
        own = pairs | {
            role: self.files.outputs(everywhere, chain, file, f"{role}-streams", loops=self._loops)
            for role, file in files.items()
        }
        choosing = tuple(head for head in self._heads if tasks.of(head).choice)
        if choosing:
            self.add(chain.runtime, "accuracy", Accuracy(choosing), own, self._tasks)
        if everywhere is not instrument:
            there = sampling.streams(self.files, instrument, chain, files["candidate"], self._loops)
            own = own | {"candidate": there}
        self._scores(chain.runtime, own)

    def _here(self, chain: Pair) -> dict[str, str]:
        """What both files answer to all held-out examples, by role: here, where the device takes only some."""
        return {role: self._deployed.here(chain, deployed, role) for role, deployed in sides(chain).items()}

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
        return self._deployed.here(chain, chain.candidate, "candidate")

    def _arena(self, chain: Pair) -> None:
        """Memory that the runtime sets aside, where a gate asks for it."""
        if stopping(self._gates, "arena"):
            kind, name = FORMATS.get(chain.runtime.format), FORMATS.module(chain.runtime.format)
            self.add(chain.runtime, "arena", Arena(), both(chain), (name,), kind.tools)

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

    def _keep(self, name: str, node: Node) -> None:
        """Keep a step that gathers evidence of this kind on all formats."""
        self.evidence[name] = self._graph.add(f"{self._prefix}/{name}", node)
