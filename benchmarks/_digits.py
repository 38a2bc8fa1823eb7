"""Many recipes for the digits model in one graph of the product's own steps, so that results are kept and shared."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgebuild.devices.local import Local
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.plan.weights import Weights
from edgebuild.report import progress
from edgebuild.spec import documents
from edgebuild.spec.artifact import Step, option_fields
from edgebuild.spec.checked import check
from edgebuild.spec.evidence import FILE
from edgebuild.spec.model import Training
from edgebuild.spec.project import Project
from edgebuild.spec.registry import FORMATS, STEPS, takes
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence.footprint import Footprint
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.verbs.journal import Journal, bring_up

if TYPE_CHECKING:
    from edgebuild.engine.store import Action

FORMAT = "tflite"
TRAINING = Training(epochs=6, learning_rate=0.1, weight_decay=5e-4)
Line = tuple[str, Mapping[str, Any]]


Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe: steps with their options, in order; those that draw at random draw by `seed`."""

    technique: str
    setting: str
    lines: tuple[Line, ...]
    seed: int = 0


@dataclass(slots=True)
class Digits:
    """The float model `digits` of a project, its data, and what variants make of them; it is its own teacher."""

    project: Project
    store: Store
    training: Training = TRAINING
    graph: Graph = field(default_factory=Graph)
    done: dict[str, Action] = field(default_factory=dict)
    weights: Weights = field(init=False)

    def __post_init__(self) -> None:
        """Plan the data and the float model, trained briefly."""
        model = self.project.model("digits")
        declared = replace(model.declared, training=self.training, teacher=None)
        self.weights = Weights.plan(self.graph, self.store, replace(model, declared=declared))

    def torch(self, variant: Variant) -> str:
        """The id of the model after the variant's steps on torch models."""
        current = self.weights.float
        for step, label in self._steps(variant):
            if takes(step, "torch"):
                current = self._add(label, step, current, "torch")
        return current

    def file(self, variant: Variant) -> str:
        """The id of the variant's file."""
        current = self._add("convert", Convert(FORMAT), self.torch(variant), FORMAT)
        for step, label in self._steps(variant):
            if takes(step, FORMAT):
                current = self._add(label, step, current, FORMAT)
        return current

    def answers(self, item: str) -> str:
        """The id of what a model or a file answers to all held-out examples, on this machine."""
        step: Step = TorchOutputs() if self.graph.kind(item) == "torch" else Outputs(Local(), "host")
        return self._add("outputs", step, item, "outputs")

    def weighed(self, variant: Variant) -> str:
        """The id of the footprint of the variant's file beside the float one."""
        plain = Variant("float", "", ())
        files = {"candidate": self.file(variant), "baseline": self.file(plain)}
        torches = {"candidate_model": self.torch(variant), "baseline_model": self.torch(plain)}
        return self.graph.add("footprint", Node(Footprint(), files | torches, "evidence"))

    def bring_up(self, jobs: int) -> None:
        """Run what is not up to date, two steps side by side; what was stopped goes on where it was."""
        with progress.display(sys.stderr) as events:
            self.done |= bring_up(self.store, self.graph, jobs, Journal(events), Limits())

    def folder(self, item: str) -> Path:
        """Where the output of a node is."""
        return self.store.path(self.done[item].output)

    def evidence(self, kind: type[Kind], item: str) -> Kind:
        """What a node measured."""
        return documents.read(kind, self.folder(item) / FILE)

    def _steps(self, variant: Variant) -> list[tuple[Step, str]]:
        found: list[tuple[Step, str]] = []
        for number, (use, options) in enumerate(variant.lines):
            kind = STEPS.get(use)
            seeded = {"seed": variant.seed} if "seed" in {item.name for item in option_fields(kind)} else {}
            file = f"benchmarks/techniques: {variant.technique}"
            found.append((check(kind, {**seeded, **options}, file=file, prefix=f"steps[{number}]"), use))
        return found

    def _add(self, label: str, step: Step, model: str, kind: str) -> str:
        roles = {"model": model, "data": self.weights.data, "teacher": self.weights.float}
        inputs = {role: roles[role] for role in step.uses()}
        of_format = FORMAT in (kind, self.graph.kind(model))
        code = (FORMATS.module(FORMAT),) if of_format else ()
        tools = FORMATS.get(FORMAT).tools if of_format else ()
        return self.graph.add(f"digits/{label}", Node(step, inputs, kind, code=code, tools=tools))
