"""Plans how long files take on a target: timed on a device, modelled from counted work, or estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgebuild.engine.graph import Node
from edgebuild.plan.deployed import Deployed, both, by_role, sides
from edgebuild.plan.instruments import Instrument
from edgebuild.plan.limits import stopping
from edgebuild.plan.measurements import Measurements, Pair, Together
from edgebuild.spec.core import TimeModel
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import FORMATS, GATES
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.latency import Latency
from edgebuild.steps.evidence.predict import Predict
from edgebuild.steps.evidence.processes import Processes
from edgebuild.steps.evidence.roofline import Roofline


@dataclass(frozen=True, slots=True)
class Times:
    """Plans the nodes that tell how long all files of a model take, by the role that their evidence has; `shown` is the
    model's file in messages.
    """

    files: Measurements
    shown: str

    def latency(self, pairs: Sequence[Pair], evidence: Mapping[str, str]) -> Iterator[tuple[str, Node]]:
        """Time on the target's device; beside a device that only counts, also time on this machine."""
        yield "latency", self.time(pairs, evidence)
        instruments = self.files.instruments
        if instruments.declares("latency") and instruments.best("latency").fidelity == "emulated":
            yield "host-latency", self._timed(instruments.host, pairs)

    def time(self, pairs: Sequence[Pair], evidence: Mapping[str, str]) -> Node:
        """The time that gates are on. `evidence` has what the files weigh, by role."""
        instruments, roofline = self.files.instruments, self.files.target.hardware.roofline
        if not (roofline is not None and not instruments.declares("latency")):
            instrument = instruments.best("latency")
            if instrument.fidelity != "emulated":
                return self._timed(instrument, pairs)
            if (counter := self.files.counter()) is not None:
                return self._predicted(*counter, pairs)
        if roofline is not None:
            footprints = {role: item for role, item in evidence.items() if role.startswith("footprint/")}
            return Node(Roofline(roofline, tuple(pair.runtime.format for pair in pairs)), footprints, "evidence")
        return self._timed(instruments.host, pairs)  # time under an emulator is never evidence

    def processes(self, pairs: Sequence[Pair]) -> Iterator[tuple[str, Node]]:
        """Where a gate asks for it, starts, memory and tails; an emulator's are not the device's, so this machine's.

        UsageError where several files are one deployable.
        """
        gates, instruments = stopping(self.files.gates, "processes"), self.files.instruments
        if gates and any(isinstance(side, Together) for pair in pairs for side in sides(pair).values()):
            reason = (
                f"{gates[0].metric} {gates[0].limit!r} is measured of one file in a process, and this is an assembly"
            )
            hint = f'a budget {gates[0].metric} = "none" leaves it out'
            raise UsageError(reason, file=self.shown, key="assembly", hint=hint)
        if gates and instruments.declares("latency"):
            instrument = instruments.best("latency")
            measured = instruments.host if instrument.fidelity == "emulated" else instrument
            yield "processes", self._run_timed(Processes, measured, pairs, gates)

    def _timed(self, instrument: Instrument, pairs: Sequence[Pair]) -> Node:
        """All files of all formats, interleaved in one process."""
        return self._run_timed(Latency, instrument, pairs, stopping(self.files.gates, "latency"))

    def _run_timed(
        self,
        kind: type[Latency] | type[Processes],
        instrument: Instrument,
        pairs: Sequence[Pair],
        gates: tuple[Gate, ...],
    ) -> Node:
        """All files of all formats on a device that times, until the gates are settled."""
        runtimes = tuple(instrument.runtime(pair.runtime) for pair in pairs)
        formats = [runtime.format for runtime in runtimes]
        return Node(
            kind(instrument.device, instrument.fidelity, runtimes, self.files.target.timing, gates),
            {"data": self.files.data, **self._run(pairs)},
            "evidence",
            code=(*instrument.code(*formats), *sorted({GATES.module(gate.metric) for gate in gates})),
            tools=("scipy", *(FORMATS.get(name).runtime for name in formats)),
            facts=instrument.fingerprint,
        )

    def _run(self, pairs: Sequence[Pair]) -> dict[str, str]:
        """All files that run, by role, and how often the parts of an assembly do."""
        inputs = dict[str, str]()
        for pair in pairs:
            for role, deployed in sides(pair).items():
                place = f"{role}/{pair.runtime.format}"
                inputs |= by_role(place, deployed)
                if isinstance(deployed, Together):
                    inputs[f"runs/{place}"] = Deployed(self.files).here(pair, deployed, role)
                    fed = Deployed(self.files).fed(pair, deployed)
                    inputs |= {f"fed/{place}/{part}": data for part, data in fed.items()}
        return inputs

    def _predicted(self, instrument: Instrument, model: TimeModel, pairs: Sequence[Pair]) -> Node:
        """Seconds from the counted work of every file."""
        inputs, deployed = dict[str, str](), Deployed(self.files)
        for pair in pairs:
            name = pair.runtime.format
            for role, side in sides(pair).items():
                inputs[f"{role}/{name}"] = deployed.count(instrument, pair, side, role, model)
            inputs[f"shared/{name}"] = self.files.shared(pair, both(pair), "shared")
        runtimes = tuple(pair.runtime for pair in pairs)
        return Node(Predict(model, self.files.target.hardware.core_clock, runtimes), inputs, "evidence")
