"""Plans the evidence for a model on a target: which device measures what, and the verdicts made of it."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.engine.graph import Graph, Node
from edgebuild.evidence.accuracy import Accuracy
from edgebuild.evidence.footprint import Footprint
from edgebuild.evidence.judge import Judge
from edgebuild.evidence.latency import Latency
from edgebuild.evidence.outputs import Outputs
from edgebuild.evidence.parity import Parity
from edgebuild.evidence.roofline import Roofline
from edgebuild.evidence.torch_outputs import TorchOutputs
from edgebuild.jobs.device import Device
from edgebuild.plan.recipe import Chain
from edgebuild.plan.weights import Weights
from edgebuild.spec.artifact import Step
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.files import check
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import DEVICES, FORMATS, GATES
from edgebuild.spec.target import Gate, Runtime, Target


class Measuring:
    """Adds the evidence nodes of one model on one target."""

    def __init__(self, graph: Graph, target: Target, model: ModelSpec, weights: Weights, prefix: str) -> None:
        """Check the gates and find the devices; UsageError or DeviceError for the first that cannot be."""
        self._graph, self._target, self._weights, self.prefix = graph, target, weights, prefix
        self.gates = gates_of(target, model)
        self._devices = [self._device(number) for number in range(len(target.devices))]
        self.evidence: dict[str, str] = {}

    def judge(self, chains: list[Chain]) -> str:
        """Add all evidence for the chains and the node that judges it."""
        for chain in chains:
            self._of_one(chain)
        self.evidence["latency"] = self._latency(chains)
        formats = tuple(chain.runtime.format for chain in chains)
        codes = tuple(GATES.module(gate.metric) for gate in self.gates)
        node = Node(Judge(self.gates, formats), dict(self.evidence), "verdicts", code=codes)
        self.evidence["verdicts"] = self._graph.add(f"{self.prefix}/judge", node)
        return self.evidence["verdicts"]

    def _of_one(self, chain: Chain) -> None:
        """Parity, accuracy and footprint of one format."""
        name = chain.runtime.format
        candidate, baseline, converted = (
            self._outputs(chain.runtime, model, role)
            for model, role in ((chain.candidate, "candidate"), (chain.baseline, "baseline"), (chain.converted, "float"))
        )
        torch = self._graph.add(
            f"{self.prefix}/torch-outputs",
            Node(TorchOutputs(), {"model": chain.torch, "data": self._weights.data}, "outputs"),
        )
        parity = {"reference": torch, "converted": converted, "candidate": candidate}
        self._add(name, "parity", Parity(), parity)
        pairs = {"candidate": candidate, "baseline": baseline, "data": self._weights.data}
        self._add(name, "accuracy", Accuracy(), pairs)
        files = {"candidate": chain.candidate, "baseline": chain.baseline}
        torches = {"candidate_torch": chain.torch, "baseline_torch": self._weights.float}
        self._add(name, "footprint", Footprint(), files | torches)

    def _add(self, name: str, kind: str, step: Step, inputs: dict[str, str]) -> None:
        self.evidence[f"{kind}/{name}"] = self._graph.add(f"{self.prefix}/{name}/{kind}", Node(step, inputs, "evidence"))

    def _outputs(self, runtime: Runtime, model: str, role: str) -> str:
        number, device = self._measures("outputs")
        fidelity = device.fidelity(self._target.hardware)
        # Only the target's own hardware has the target's execution providers.
        providers = runtime.providers if fidelity == "hardware" else ()
        step = Outputs(device, fidelity, runtime.threads, providers)
        node = Node(
            step,
            {"model": model, "data": self._weights.data},
            "outputs",
            code=(DEVICES.module(self._target.devices[number].transport),),
            tools=(FORMATS.get(runtime.format).runtime,),
            facts={"cpu": device.fingerprint()["cpu"]},
        )
        return self._graph.add(f"{self.prefix}/{runtime.format}/outputs-{role}", node)

    def _latency(self, chains: list[Chain]) -> str:
        label = f"{self.prefix}/latency"
        rates = self._target.hardware.roofline
        if rates is not None and not self._can("latency"):
            footprints = {role: item for role, item in self.evidence.items() if role.startswith("footprint/")}
            step = Roofline(rates, tuple(chain.runtime.format for chain in chains))
            return self._graph.add(label, Node(step, footprints, "evidence"))
        number, device = self._measures("latency")
        fidelity = device.fidelity(self._target.hardware)
        deltas = tuple(GATES.get("latency").limit(gate.limit) for gate in self.gates if gate.metric == "latency")
        runtimes = tuple(
            chain.runtime if fidelity == "hardware" else replace(chain.runtime, providers=()) for chain in chains
        )
        inputs = {f"candidate/{chain.runtime.format}": chain.candidate for chain in chains}
        inputs |= {f"baseline/{chain.runtime.format}": chain.baseline for chain in chains}
        node = Node(
            Latency(device, fidelity, runtimes, self._target.timing, deltas),
            inputs | {"data": self._weights.data},
            "evidence",
            code=(DEVICES.module(self._target.devices[number].transport),),
            tools=tuple(FORMATS.get(runtime.format).runtime for runtime in runtimes),
            facts=device.fingerprint(),
        )
        return self._graph.add(label, node)

    def _device(self, number: int) -> Device:
        declared = self._target.devices[number]
        kind = DEVICES.get(declared.transport, file=self._target.file, key=f"{declared.key}.transport")
        device: Device = check(kind, declared.options, file=self._target.file, prefix=declared.key)
        return device

    def _can(self, what: str) -> bool:
        return any(what in declared.measures for declared in self._target.devices)

    def _measures(self, what: str) -> tuple[int, Device]:
        """The first device that is there and trusted to measure `what`."""
        reasons = []
        for number, (declared, device) in enumerate(zip(self._target.devices, self._devices, strict=True)):
            if what in declared.measures:
                reason = device.why_unusable()
                if reason is None:
                    return number, device
                reasons.append(f"{declared.transport}: {reason}")
        told = "; ".join(reasons) or "none is declared for it"
        raise DeviceError(f"no device can measure {what}: {told}", file=self._target.file, key="devices")


def gates_of(target: Target, model: ModelSpec) -> tuple[Gate, ...]:
    """The target's gates with the model's budgets for it in their place; UsageError for a wrong metric or limit."""
    budgets = dict(model.declared.budgets.get(target.name, {}))
    gates = []
    for number, gate in enumerate(target.gates):
        own = budgets.pop(gate.metric, None)
        if own is None:
            gates.append(_checked(gate, target.file, f"gates[{number}]"))
        else:
            gates.append(_checked(replace(gate, limit=own), model.file, f"budgets.{target.name}", gate.metric))
    for metric, limit in budgets.items():
        gates.append(_checked(Gate(metric, limit), model.file, f"budgets.{target.name}", metric))
    return tuple(gates)


def _checked(gate: Gate, file: str, key: str, name: str | None = None) -> Gate:
    """The gate, if its metric is known and its limit means something."""
    kind = GATES.get(gate.metric, file=file, key=key if name else f"{key}.metric")
    try:
        kind.limit(gate.limit)
    except ValueError as error:
        raise UsageError(str(error), file=file, key=f"{key}.{name or 'limit'}") from None
    return gate
