"""Plans the evidence for a model on a target: which device measures what, and the verdicts made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan import proving, sampling
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import resampled, stopping
from edgebuild.plan.recipe import Chain
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step
from edgebuild.spec.core import TimeModel
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Gate, Recipe, Runtime, Target
from edgebuild.spec.target import Roofline as Rates
from edgebuild.steps.evidence.accuracy import Accuracy
from edgebuild.steps.evidence.agreement import Agreement
from edgebuild.steps.evidence.arena import Arena
from edgebuild.steps.evidence.count import Count
from edgebuild.steps.evidence.footprint import Footprint
from edgebuild.steps.evidence.judge import Judge
from edgebuild.steps.evidence.latency import Latency
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.parity import Parity
from edgebuild.steps.evidence.predict import Predict
from edgebuild.steps.evidence.processes import Processes
from edgebuild.steps.evidence.roofline import Roofline
from edgebuild.steps.evidence.scores import Scores
from edgebuild.steps.evidence.shared import Shared
from edgebuild.steps.evidence.torch_outputs import TorchOutputs


class Pair(Protocol):
    """Ids of two files of one format that are compared on a device."""

    @property
    def runtime(self) -> Runtime:
        """What executes both."""

    @property
    def candidate(self) -> str:
        """The file that is judged."""

    @property
    def baseline(self) -> str:
        """The file that it is held against."""


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
        self.graph, self.target, self.data, self.prefix = graph, target, data, prefix
        self._instruments, self._declared, self.gates = instruments, model.declared, gates
        self.task = model.declared.task
        self.evidence: dict[str, str] = {}

    def judge(self, chains: Sequence[Chain], float_model: str) -> str:
        """Add all evidence for the chains, made of the torch model `float_model`, and the node that judges it."""
        for chain in chains:
            self._conversion(chain, float_model)
        self._on_devices(chains)
        for chain in chains:
            self.add(chain, "proof", *proving.proof(self, chain, float_model))
        return self._verdicts(chains, self.target.recipe)

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

    def _verdicts(self, chains: Sequence[Pair], recipe: Recipe) -> str:
        """The node that judges; what it says to do next is about the recipe, where one is known."""
        formats = tuple(chain.runtime.format for chain in chains)
        codes = tuple(GATES.module(gate.metric) for gate in self.gates)
        steps = tuple(line.use for line in recipe.steps)
        judge = Judge(self.gates, formats, len(self.target.runtimes), recipe.name, steps)
        inputs = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        inputs |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        node = Node(judge, self.evidence | inputs, "verdicts", code=codes)
        self.evidence["verdicts"] = self.graph.add(f"{self.prefix}/judge", node)
        return self.evidence["verdicts"]

    def fingerprints(self) -> dict[str, dict[str, str]]:
        """What each piece of evidence was measured on, by role; without those that nothing was measured for."""
        found = {role: self.graph.fingerprint(item) for role, item in self._measured().items()}
        return {role: facts for role, facts in found.items() if facts}

    def _measured(self) -> dict[str, str]:
        """Evidence that this plan itself gathers."""
        nodes = self.graph.nodes
        return {role: item for role, item in self.evidence.items() if role != "verdicts" and item in nodes}

    def _conversion(self, chain: Chain, float_model: str) -> None:
        """Parity and footprint of one format: what can only be told beside the torch models."""
        instrument, everywhere = self._instruments.best("outputs"), self.everywhere()
        torch = self.graph.add(
            f"{self.prefix}/torch-outputs",
            Node(TorchOutputs(), {"model": chain.torch, "data": self.data}, "outputs"),
        )
        converted = self.outputs(everywhere, chain, chain.converted, "float")
        candidate = self.outputs(everywhere, chain, chain.candidate, "candidate")
        parity = {"reference": torch, "converted": converted, "candidate": candidate}
        if everywhere is not instrument:
            parity["device_converted"] = sampling.few(self, instrument, chain, chain.converted, "device-float")
            parity["device_candidate"] = sampling.candidate(self, instrument, chain, self._here(chain))
        self.add(chain, "parity", Parity(self._declared.task), parity)
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        torches = {"candidate_torch": chain.torch, "baseline_torch": float_model}
        self.add(chain, "footprint", Footprint(), files | torches)

    def _answered(self, chain: Pair) -> None:
        """What both files answer; where the device takes only some examples, with how far it agrees with the host.

        How far the baseline agrees with the host is told and widens no bound: it is the yardstick, and means the
        float model as this machine answers. Bounding its difference too, from as many examples as are affordable,
        would cost more than the usual margin.
        """
        instrument, everywhere = self._instruments.best("outputs"), self.everywhere()
        pairs = self._here(chain) | {"data": self.data}
        if everywhere is not instrument:
            there = sampling.few(self, instrument, chain, chain.baseline, "device-baseline")
            self.add(chain, "baseline-agreement", Agreement(), {"device": there, "host": pairs["baseline"]})
        if self._declared.task == "classification":
            self._accuracy(chain, instrument, pairs)
        self._scores(chain, instrument, pairs)

    def _here(self, chain: Pair) -> dict[str, str]:
        """What both files answer to all held-out examples, by role: here, where the device takes only some."""
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        return {role: self.outputs(self.everywhere(), chain, file, role) for role, file in files.items()}

    def _accuracy(self, chain: Pair, instrument: Instrument, pairs: dict[str, str]) -> None:
        """Right answers of all examples; where the device takes only some, with how far it agrees with the host."""
        if instrument.device.examples is not None:
            device = sampling.candidate(self, instrument, chain, pairs)
            both = {"device": device, "host": pairs["candidate"]}
            pairs = pairs | {"agreement": self.add(chain, "agreement", Agreement(), both), "device": device}
        self.add(chain, "accuracy", Accuracy(self._declared.labels), pairs)

    def _arena(self, chain: Pair) -> None:
        """Memory that the runtime sets aside, where a gate asks for it."""
        if stopping(self.gates, "arena"):
            kind, name = FORMATS.get(chain.runtime.format), FORMATS.module(chain.runtime.format)
            files = {"candidate": chain.candidate, "baseline": chain.baseline}
            self.add(chain, "arena", Arena(), files, (name,), kind.tools)

    def everywhere(self) -> Instrument:
        """The device that takes all examples: one that takes only some is compared with the host."""
        instrument = self._instruments.best("outputs")
        return instrument if instrument.device.examples is None else self._instruments.host

    def clock(self) -> Instrument | None:
        """The device that times for the target; None where time is modelled or estimated."""
        if not self._instruments.declares("latency"):
            return None
        instrument = self._instruments.best("latency")
        return None if instrument.fidelity == "emulated" else instrument

    def counter(self) -> tuple[Instrument, TimeModel] | None:
        """The device that counts work and what makes time of it; None where time is measured or estimated."""
        return self._instruments.counter()

    def _scores(self, chain: Pair, instrument: Instrument, pairs: dict[str, str]) -> None:
        """Metrics by bootstrap, on the device's own answers, also where these are of some examples."""
        metrics = resampled(self.gates, self._declared.task)
        if metrics:
            own = pairs
            if instrument.device.examples is not None:
                own = pairs | {"candidate": sampling.candidate(self, instrument, chain, pairs)}
            codes = tuple(GATES.module(name) for name, _ in metrics)
            self.add(chain, "scores", Scores(metrics), own, codes)

    def add(
        self,
        chain: Pair,
        kind: str,
        step: Step,
        inputs: dict[str, str],
        code: tuple[str, ...] = (),
        tools: tuple[str, ...] = (),
    ) -> str:
        """Keep a step that gathers evidence of this kind on one format; its id."""
        name, node = chain.runtime.format, Node(step, inputs, "evidence", code=code, tools=tools)
        self.evidence[f"{kind}/{name}"] = self.graph.add(f"{self.prefix}/{name}/{kind}", node)
        return self.evidence[f"{kind}/{name}"]

    def outputs(
        self,
        instrument: Instrument,
        chain: Pair,
        model: str,
        role: str,
        most: int | None = None,
        split: dataset.Held = "test",
    ) -> str:
        """What a file answers on a device, on all examples of a split or on `most` of them; the node's id."""
        runtime = instrument.runtime(chain.runtime)
        node = Node(
            Outputs(instrument.device, instrument.fidelity, runtime.threads, runtime.providers, most, split),
            {"model": model, "data": self.data},
            "outputs",
            code=instrument.code,
            tools=(FORMATS.get(runtime.format).runtime,),
            facts=instrument.arithmetic,
        )
        return self.graph.add(f"{self.prefix}/{runtime.format}/outputs-{role}", node)

    def _latency(self, chains: Sequence[Pair]) -> None:
        """Time on the target's device; beside a device that only counts, also time on this machine."""
        hardware = self.target.hardware
        if hardware.roofline is not None and not self._instruments.declares("latency"):
            self._keep("latency", self._estimated(hardware.roofline, chains))
            return
        instrument = self._instruments.best("latency")
        if instrument.fidelity != "emulated":
            self._keep("latency", self._timed(instrument, chains))
            return
        host = self._timed(self._instruments.host, chains)
        if (counter := self.counter()) is not None:
            self._keep("latency", self._predicted(*counter, chains))
        elif hardware.roofline is not None:
            self._keep("latency", self._estimated(hardware.roofline, chains))
        else:  # time under an emulator is never evidence
            self._keep("latency", host)
        self._keep("host-latency", host)

    def _estimated(self, rates: Rates, chains: Sequence[Pair]) -> Node:
        footprints = {role: item for role, item in self.evidence.items() if role.startswith("footprint/")}
        return Node(Roofline(rates, tuple(chain.runtime.format for chain in chains)), footprints, "evidence")

    def _keep(self, name: str, node: Node) -> None:
        self.evidence[name] = self.graph.add(f"{self.prefix}/{name}", node)

    def _processes(self, chains: Sequence[Pair]) -> None:
        """Where a gate asks for it, starts, memory and tails; an emulator's are not the device's, so this machine's."""
        gates = stopping(self.gates, "processes")
        if gates and self._instruments.declares("latency"):
            instrument = self._instruments.best("latency")
            measured = self._instruments.host if instrument.fidelity == "emulated" else instrument
            self._keep("processes", self._run_timed(Processes, measured, chains, gates))

    def _timed(self, instrument: Instrument, chains: Sequence[Pair]) -> Node:
        """All files of all formats, interleaved in one process."""
        return self._run_timed(Latency, instrument, chains, stopping(self.gates, "latency"))

    def _run_timed(
        self,
        kind: type[Latency] | type[Processes],
        instrument: Instrument,
        chains: Sequence[Pair],
        gates: tuple[Gate, ...],
    ) -> Node:
        """All files of all formats on a device that times, until the gates are settled."""
        runtimes = tuple(instrument.runtime(chain.runtime) for chain in chains)
        files = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        files |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        return Node(
            kind(instrument.device, instrument.fidelity, runtimes, self.target.timing, gates),
            files | {"data": self.data},
            "evidence",
            code=(*instrument.code, *sorted({GATES.module(gate.metric) for gate in gates})),
            tools=("scipy", *(FORMATS.get(runtime.format).runtime for runtime in runtimes)),
            facts=instrument.fingerprint,
        )

    def _predicted(self, instrument: Instrument, model: TimeModel, chains: Sequence[Pair]) -> Node:
        """Seconds from the counted work of every file."""
        counted = {}
        for chain in chains:
            for role, file in (("candidate", chain.candidate), ("baseline", chain.baseline)):
                counted[f"{role}/{chain.runtime.format}"] = self.count(instrument, chain, file, role, model)
            files = {"candidate": chain.candidate, "baseline": chain.baseline}
            counted[f"shared/{chain.runtime.format}"] = self.shared(chain, files, "shared")
        runtimes = tuple(chain.runtime for chain in chains)
        return Node(Predict(model, self.target.hardware.core_clock, runtimes), counted, "evidence")

    def shared(self, chain: Pair, files: dict[str, str], role: str) -> str:
        """How much of their work two files, `candidate` and `baseline`, share; the node's id."""
        name = chain.runtime.format
        node = Node(Shared(), files, "evidence", code=(FORMATS.module(name),), tools=FORMATS.get(name).tools)
        return self.graph.add(f"{self.prefix}/{name}/{role}", node)

    def count(self, instrument: Instrument, chain: Pair, file: str, role: str, model: TimeModel) -> str:
        """The work of one inference of a file on a device that counts; the node's id."""
        node = Node(
            Count(instrument.device, model.mcpu),  # type: ignore[arg-type]  # a device that counts
            {"model": file, "data": self.data},
            "evidence",
            code=instrument.code,
            tools=(FORMATS.get(chain.runtime.format).runtime,),
            facts=instrument.fingerprint,
        )
        return self.graph.add(f"{self.prefix}/{chain.runtime.format}/count-{role}", node)
