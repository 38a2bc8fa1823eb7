"""Chooses on the validation examples what decides which parts of an assembly answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.spec import dataset, documents, notes
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import RULE, Rule
from edgebuild.spec.joining import Joining, Validated
from edgebuild.spec.names import file_name
from edgebuild.spec.signature import Head, Signature
from edgebuild.steps.assemblies._parts import role
from edgebuild.steps.evidence._outputs import read


@dataclass(frozen=True, slots=True)
class ChooseRule(Step):
    """Inputs: `answers/<part>`, what each part's file answers to the validation examples, and the data with labels."""

    joining: Joining
    parts: tuple[str, ...]
    heads: tuple[Head, ...]
    signature: Signature
    shown: str = field(default="model.toml", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "rule"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def run(self, io: StepIO) -> None:
        """Write `rule.json`; UsageError where no rule can be had."""
        labels = dataset.read(io.path("data"), "validation").labels
        answers = [read(io.path(role("answers", part))) for part in self.parts]
        try:
            choice = self.joining.choose(Validated(answers, self.heads, labels, self.signature))
        except UsageError as error:
            key = f"assembly.{error.option}" if error.option else "assembly"
            raise UsageError(error.reason, file=self.shown, key=key, hint=error.hint) from None
        documents.write(io.output / RULE, Rule(file_name(type(self.joining)), choice.rule, choice.notes))
        notes.write(io.output, choice.notes)
