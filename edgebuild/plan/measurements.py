"""Plans what is measured of a file of one model on one target: its answers, its work, what it shares with another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edgebuild.engine.graph import Graph, Node
from edgebuild.plan.instruments import Instrument, Instruments
from edgebuild.plan.weights import Weights
from edgebuild.spec import dataset
from edgebuild.spec.core import TimeModel
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Head, Loop
from edgebuild.spec.source import Making
from edgebuild.spec.target import Gate, Runtime, Target
from edgebuild.steps.evidence.count import Count
from edgebuild.steps.evidence.footprint import Footprint
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.shared import Shared


@dataclass(frozen=True, slots=True)
class Together:
    """Files that are deployed together: ids by the part's name, the kind of assembly, and the id of the rule that says
    which of them answer; `fed` are ids of the data that parts are run on which take other inputs than the whole, where
    they are known.
    """

    use: str
    files: Mapping[str, str]
    rule: str
    fed: Mapping[str, str] = field(default_factory=dict)

    @property
    def router(self) -> str:
        """The module that goes by the rule."""
        return ASSEMBLIES.get(self.use).router


Deployable = str | Together  # the id of a file, or files that are deployed together


class Pair(Protocol):
    """Ids of what is compared on a device: two files of one format, or in the place of either several."""

    @property
    def runtime(self) -> Runtime:
        """What executes both."""

    @property
    def candidate(self) -> Deployable:
        """What is judged."""

    @property
    def baseline(self) -> Deployable:
        """What that is held against."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """Adds nodes that measure one file: `data` is the id of the held-out examples, `gates` are what it will be held to.

    Each method gives the id of its node.
    """

    graph: Graph
    target: Target
    heads: tuple[Head, ...]
    data: str
    instruments: Instruments
    prefix: str
    gates: tuple[Gate, ...]

    def of_part(self, name: str) -> Measurements:
        """What measures a part's files."""
        return replace(self, prefix=f"{self.prefix}/{name}")

    def everywhere(self) -> Instrument:
        """The device that takes all examples: one that takes only some is compared with the host."""
        instrument = self.instruments.best("outputs")
        return instrument if instrument.device.examples is None else self.instruments.host

    def clock(self) -> Instrument | None:
        """The device that times for the target; None where time is modelled or estimated."""
        if not self.instruments.declares("latency"):
            return None
        instrument = self.instruments.best("latency")
        return None if instrument.fidelity == "emulated" else instrument

    def counter(self) -> tuple[Instrument, TimeModel] | None:
        """The device that counts work and what makes time of it; None where time is measured or estimated."""
        return self.instruments.counter()

    def outputs(
        self,
        instrument: Instrument,
        pair: Pair,
        model: str,
        role: str,
        most: int | None = None,
        split: dataset.Held = "test",
        loops: tuple[Loop, ...] = (),
    ) -> str:
        """What a file answers on a device, on all examples of a split or on `most` of them.

        `loops`: going through streams in order, each file with its own states.
        """
        runtime, device = instrument.runtime(pair.runtime), instrument.device
        most = instrument.most(most)
        node = Node(
            Outputs(device, instrument.fidelity, runtime.threads, runtime.providers, most, split, loops),
            {"model": model, "data": self.data},
            "outputs",
            code=instrument.code(runtime.format),
            tools=(FORMATS.get(runtime.format).runtime,),
            facts=instrument.arithmetic,
        )
        return self.graph.add(f"{self.prefix}/{runtime.format}/outputs-{role}", node)

    def reference(self, weights: Weights, model: str, role: str, split: dataset.Held = "test") -> str:
        """What a model before conversion answers on this machine, in the runtime that its source has."""
        making, known = weights.source.reference(split), {"model": model, "data": self.data, **weights.files}
        inputs = {name: known[name] for name in making.step.uses()}
        return self.graph.add(f"{self.prefix}/{role}", Node(making.step, inputs, "outputs", making.code, making.tools))

    def original(self, weights: Weights, role: str) -> str | None:
        """What the model that came answers where it came from; None where that is PyTorch on this machine."""
        return self._as_it_came(weights, weights.source.original("test"), role)

    def second(self, weights: Weights, format_name: str, role: str) -> str | None:
        """What the file answers that another converter makes of the model that came; None where there is none."""
        making = weights.source.second(format_name, "test")
        return self._as_it_came(weights, making, f"{format_name}/{role}")

    def _as_it_came(self, weights: Weights, making: Making | None, role: str) -> str | None:
        if making is None:
            return None
        known = {"data": self.data, **weights.files}
        inputs = {name: known[name] for name in making.step.uses()}
        return self.graph.add(f"{self.prefix}/{role}", Node(making.step, inputs, "outputs", making.code, making.tools))

    def weight(self, pair: Pair, files: Mapping[str, str], models: Sequence[str], role: str) -> str:
        """Bytes and operations of two files, `candidate` and `baseline`, and of the `models` that they come from.

        What is in models that come as files is counted by their format.
        """
        name, inputs = pair.runtime.format, dict(zip(("candidate_model", "baseline_model"), models, strict=True))
        counts = any(self.graph.kind(model) == name for model in models)
        code, tools = ((FORMATS.module(name),), FORMATS.get(name).tools) if counts else ((), ())
        node = Node(Footprint(), {**files, **inputs}, "evidence", code=code, tools=tools)
        return self.graph.add(f"{self.prefix}/{name}/{role}", node)

    def shared(self, pair: Pair, files: Mapping[str, str], role: str) -> str:
        """How much of their work two files, `candidate` and `baseline`, share."""
        name = pair.runtime.format
        node = Node(Shared(), files, "evidence", code=(FORMATS.module(name),), tools=FORMATS.get(name).tools)
        return self.graph.add(f"{self.prefix}/{name}/{role}", node)

    def count(self, instrument: Instrument, pair: Pair, file: str, role: str, model: TimeModel) -> str:
        """The work of one inference of a file on a device that counts."""
        name = pair.runtime.format
        node = Node(
            Count(instrument.device, model.mcpu),
            {"model": file, "data": self.data},
            "evidence",
            code=instrument.code(name),
            tools=(FORMATS.get(name).runtime,),
            facts=instrument.fingerprint,
        )
        return self.graph.add(f"{self.prefix}/{name}/count-{role}", node)
