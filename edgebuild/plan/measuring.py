"""Plans the evidence for a model on a target: which device measures what, and the verdicts made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgebuild.engine.graph import Graph, Node
from edgebuild.evidence.accuracy import Accuracy
from edgebuild.evidence.agreement import Agreement
from edgebuild.evidence.arena import Arena
from edgebuild.evidence.count import Count
from edgebuild.evidence.footprint import Footprint
from edgebuild.evidence.judge import Judge
from edgebuild.evidence.latency import Latency
from edgebuild.evidence.outputs import Outputs
from edgebuild.evidence.parity import Parity
from edgebuild.evidence.predict import Predict
from edgebuild.evidence.processes import Processes
from edgebuild.evidence.proof import Proof
from edgebuild.evidence.roofline import Roofline
from edgebuild.evidence.scores import Scores
from edgebuild.evidence.stage_times import StageTimes
from edgebuild.evidence.torch_outputs import TorchOutputs
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.limits import resampled, stopping
from edgebuild.plan.recipe import Chain, Stage
from edgebuild.spec.artifact import Step
from edgebuild.spec.core import TimeModel
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Gate, Runtime, Target, Timing
from edgebuild.spec.target import Roofline as Rates

_FLOAT_EXAMPLES = 50
_BRIEF = Timing(looks=(6,), iterations=100, warmup_iterations=20, warmup=0.5)  # which technique paid, no verdict


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
        self._graph, self._target, self._data, self.prefix = graph, target, data, prefix
        self._instruments, self._declared, self.gates = instruments, model.declared, gates
        self.evidence: dict[str, str] = {}

    def judge(self, chains: Sequence[Chain], float_model: str) -> str:
        """Add all evidence for the chains, made of the torch model `float_model`, and the node that judges it."""
        for chain in chains:
            self._conversion(chain, float_model)
        self._on_devices(chains)
        for chain in chains:
            self._proof(chain, float_model)
        return self._verdicts(chains)

    def judge_again(self, files: Files, carried: Mapping[str, str]) -> str:
        """Measure finished files on the devices and judge them with evidence that no device changes, by role."""
        self.evidence |= carried
        self._on_devices([files])
        return self._verdicts([files])

    def _on_devices(self, chains: Sequence[Pair]) -> None:
        for chain in chains:
            self._answered(chain)
            self._arena(chain)
        self._latency(chains)
        self._processes(chains)

    def _verdicts(self, chains: Sequence[Pair]) -> str:
        formats = tuple(chain.runtime.format for chain in chains)
        codes = tuple(GATES.module(gate.metric) for gate in self.gates)
        node = Node(Judge(self.gates, formats), dict(self.evidence), "verdicts", code=codes)
        self.evidence["verdicts"] = self._graph.add(f"{self.prefix}/judge", node)
        return self.evidence["verdicts"]

    def fingerprints(self) -> dict[str, dict[str, str]]:
        """What each piece of evidence was measured on, by role; without those that nothing was measured for."""
        found = {role: self._graph.fingerprint(item) for role, item in self._measured().items()}
        return {role: facts for role, facts in found.items() if facts}

    def _measured(self) -> dict[str, str]:
        """Evidence that this plan itself gathers."""
        nodes = self._graph.nodes
        return {role: item for role, item in self.evidence.items() if role != "verdicts" and item in nodes}

    def _conversion(self, chain: Chain, float_model: str) -> None:
        """Parity and footprint of one format: what can only be told beside the torch models."""
        instrument, everywhere = self._instruments.best("outputs"), self._everywhere()
        torch = self._graph.add(
            f"{self.prefix}/torch-outputs",
            Node(TorchOutputs(), {"model": chain.torch, "data": self._data}, "outputs"),
        )
        converted = self._outputs(everywhere, chain, chain.converted, "float")
        candidate = self._outputs(everywhere, chain, chain.candidate, "candidate")
        parity = {"reference": torch, "converted": converted, "candidate": candidate}
        if everywhere is not instrument:
            parity["device_converted"] = self._few(instrument, chain, chain.converted, "device-float")
            parity["device_candidate"] = self._outputs(instrument, chain, chain.candidate, "device")
        self._add(chain, "parity", Parity(self._declared.task), parity)
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        torches = {"candidate_torch": chain.torch, "baseline_torch": float_model}
        self._add(chain, "footprint", Footprint(), files | torches)

    def _answered(self, chain: Pair) -> None:
        """What both files answer; where the device takes only some examples, with how far it agrees with the host.

        How far the baseline agrees with the host is told and widens no bound: it is the yardstick, and means the
        float model as this machine answers. Bounding its difference too, from as many examples as are affordable,
        would cost more than the usual margin.
        """
        instrument, everywhere = self._instruments.best("outputs"), self._everywhere()
        candidate = self._outputs(everywhere, chain, chain.candidate, "candidate")
        baseline = self._outputs(everywhere, chain, chain.baseline, "baseline")
        pairs = {"candidate": candidate, "baseline": baseline, "data": self._data}
        if everywhere is not instrument:
            there = self._few(instrument, chain, chain.baseline, "device-baseline")
            self._add(chain, "baseline-agreement", Agreement(), {"device": there, "host": baseline})
        if self._declared.task == "classification":
            self._accuracy(chain, instrument, pairs)
        self._scores(chain, instrument, pairs)

    def _few(self, instrument: Instrument, chain: Pair, model: str, role: str) -> str:
        """Outputs of a float file on a few examples: emulated, they are slow (0.1 s an inference of the digits)."""
        return self._outputs(instrument, chain, model, role, most=_FLOAT_EXAMPLES)

    def _accuracy(self, chain: Pair, instrument: Instrument, pairs: dict[str, str]) -> None:
        """Right answers of all examples; where the device takes only some, with how far it agrees with the host."""
        if instrument.device.examples is not None:
            device = self._outputs(instrument, chain, chain.candidate, "device")
            both = {"device": device, "host": pairs["candidate"]}
            pairs = pairs | {"agreement": self._add(chain, "agreement", Agreement(), both)}
        self._add(chain, "accuracy", Accuracy(self._declared.labels), pairs)

    def _arena(self, chain: Pair) -> None:
        """Memory that the runtime sets aside, where a gate asks for it."""
        if stopping(self.gates, "arena"):
            kind, name = FORMATS.get(chain.runtime.format), FORMATS.module(chain.runtime.format)
            files = {"candidate": chain.candidate, "baseline": chain.baseline}
            self._add(chain, "arena", Arena(), files, (name,), kind.tools)

    def _everywhere(self) -> Instrument:
        """The device that takes all examples: one that takes only some is compared with the host."""
        instrument = self._instruments.best("outputs")
        return instrument if instrument.device.examples is None else self._instruments.host

    def _proof(self, chain: Chain, float_model: str) -> None:
        """What each technique changed: state 0 is the float model, each stage makes the next."""
        counter = self._counter()
        states = [Stage("float", -1, float_model, float_model, chain.baseline), *chain.stages]
        inputs = {"data": self._data}
        for number, stage in enumerate(states):
            inputs[f"made/{number}"] = stage.made
            inputs[f"outputs/{number}"] = self._answers(chain, stage)
            inputs[f"footprint/{number}"] = self._weighed(chain, stage, states[0])
            if counter is not None:
                inputs[f"count/{number}"] = self._count(counter[0], chain, stage.file, stage.name, counter[1])
        files = list(dict.fromkeys(stage.file for stage in states))
        if counter is None and len(files) > 1 and (clock := self._clock()) is not None:
            label = f"{self.prefix}/{chain.runtime.format}/stage-times"
            inputs["times"] = self._graph.add(label, self._stage_times(clock, chain, files))
        step = Proof(
            tuple(stage.name for stage in chain.stages),
            tuple(files.index(stage.file) for stage in states),
            counter[1] if counter else None,
            self._target.hardware.clock or 1e9,
            chain.runtime.threads,
        )
        self._add(chain, "proof", step, inputs)

    def _weighed(self, chain: Chain, stage: Stage, first: Stage) -> str:
        """Bytes and operations of one state beside those of the first."""
        files = {"candidate": stage.file, "baseline": first.file}
        torches = {"candidate_torch": stage.torch, "baseline_torch": first.torch}
        label = f"{self.prefix}/{chain.runtime.format}/{stage.name}-footprint"
        return self._graph.add(label, Node(Footprint(), files | torches, "evidence"))

    def _clock(self) -> Instrument | None:
        """The device that times for the target; None where time is modelled or estimated."""
        if not self._instruments.declares("latency"):
            return None
        instrument = self._instruments.best("latency")
        return None if instrument.fidelity == "emulated" else instrument

    def _stage_times(self, instrument: Instrument, chain: Chain, files: list[str]) -> Node:
        """A short measurement of all files that the recipe made on its way."""
        runtime, timing = _on(instrument, chain.runtime), self._target.timing
        brief = replace(
            timing,
            looks=(min(_BRIEF.looks[0], timing.looks[0]),),
            iterations=min(_BRIEF.iterations, timing.iterations),
            warmup_iterations=min(_BRIEF.warmup_iterations, timing.warmup_iterations),
            warmup=min(_BRIEF.warmup, timing.warmup),
        )
        return Node(
            StageTimes(instrument.device, instrument.fidelity, runtime, brief),
            {f"file/{number}": file for number, file in enumerate(files)} | {"data": self._data},
            "evidence",
            code=instrument.code,
            tools=(FORMATS.get(runtime.format).runtime,),
            facts=instrument.fingerprint,
        )

    def _counter(self) -> tuple[Instrument, TimeModel] | None:
        """The device that counts work and what makes time of it; None where time is measured or estimated."""
        core = self._target.hardware.core
        if core is None or core.time is None or not self._instruments.declares("latency"):
            return None
        instrument = self._instruments.best("latency")
        return (instrument, core.time) if instrument.fidelity == "emulated" and instrument.device.counts else None

    def _answers(self, chain: Chain, stage: Stage) -> str:
        """Outputs on all held-out examples, by the runtime for a file, by the framework for a torch model."""
        if self._graph.kind(stage.made) != "torch":
            return self._outputs(self._everywhere(), chain, stage.made, stage.name)
        node = Node(TorchOutputs(), {"model": stage.made, "data": self._data}, "outputs")
        return self._graph.add(f"{self.prefix}/{stage.name}-outputs", node)

    def _scores(self, chain: Pair, instrument: Instrument, pairs: dict[str, str]) -> None:
        """Metrics by bootstrap, on the device's own answers, also where these are of some examples."""
        metrics = resampled(self.gates, self._declared.task)
        if metrics:
            own = pairs | {"candidate": self._outputs(instrument, chain, chain.candidate, "device")}
            codes = tuple(GATES.module(name) for name, _ in metrics)
            self._add(chain, "scores", Scores(metrics), own, codes)

    def _add(
        self,
        chain: Pair,
        kind: str,
        step: Step,
        inputs: dict[str, str],
        code: tuple[str, ...] = (),
        tools: tuple[str, ...] = (),
    ) -> str:
        name, node = chain.runtime.format, Node(step, inputs, "evidence", code=code, tools=tools)
        self.evidence[f"{kind}/{name}"] = self._graph.add(f"{self.prefix}/{name}/{kind}", node)
        return self.evidence[f"{kind}/{name}"]

    def _outputs(self, instrument: Instrument, chain: Pair, model: str, role: str, most: int | None = None) -> str:
        runtime = _on(instrument, chain.runtime)
        node = Node(
            Outputs(instrument.device, instrument.fidelity, runtime.threads, runtime.providers, most),
            {"model": model, "data": self._data},
            "outputs",
            code=instrument.code,
            tools=(FORMATS.get(runtime.format).runtime,),
            facts=instrument.arithmetic,
        )
        return self._graph.add(f"{self.prefix}/{runtime.format}/outputs-{role}", node)

    def _latency(self, chains: Sequence[Pair]) -> None:
        """Time on the target's device; beside a device that only counts, also time on this machine."""
        hardware = self._target.hardware
        if hardware.roofline is not None and not self._instruments.declares("latency"):
            self._keep("latency", self._estimated(hardware.roofline, chains))
            return
        instrument = self._instruments.best("latency")
        if instrument.fidelity != "emulated":
            self._keep("latency", self._timed(instrument, chains))
            return
        host = self._timed(self._instruments.host, chains)
        if (counter := self._counter()) is not None:
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
        self.evidence[name] = self._graph.add(f"{self.prefix}/{name}", node)

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
        runtimes = tuple(_on(instrument, chain.runtime) for chain in chains)
        files = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        files |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        return Node(
            kind(instrument.device, instrument.fidelity, runtimes, self._target.timing, gates),
            files | {"data": self._data},
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
                counted[f"{role}/{chain.runtime.format}"] = self._count(instrument, chain, file, role, model)
        runtimes = tuple(chain.runtime for chain in chains)
        clock = self._target.hardware.clock or 1e9
        return Node(Predict(model, clock, runtimes), counted, "evidence")

    def _count(self, instrument: Instrument, chain: Pair, file: str, role: str, model: TimeModel) -> str:
        node = Node(
            Count(instrument.device, model.mcpu),  # type: ignore[arg-type]  # a device that counts
            {"model": file, "data": self._data},
            "evidence",
            code=instrument.code,
            tools=(FORMATS.get(chain.runtime.format).runtime,),
            facts=instrument.fingerprint,
        )
        return self._graph.add(f"{self.prefix}/{chain.runtime.format}/count-{role}", node)


def _on(instrument: Instrument, runtime: Runtime) -> Runtime:
    """The runtime as it is on this device: only the target's own hardware has the target's execution providers."""
    return runtime if instrument.fidelity == "hardware" else replace(runtime, providers=())
