"""What a model's file says of its answers: how many values, the names of classes, or a table for each output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import ConfigDict, Discriminator, Field, Tag

from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import STRICT
from edgebuild.spec.signature import ANSWER, Element, Head, Scores, TensorSpec

USUAL_TASK = "classification"
_COUNT, _TABLES = "[count]", "[tables]"  # which of its two forms `outputs` has; no part of a key that messages name

SCORES = "what scores of classes are, each for itself: logits, or probabilities behind a sigmoid"
Labels = Annotated[tuple[str, ...], Field(min_length=2, description="names of the classes, in output order")]


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the model: the shape that it has for one example, and what is asked of its values.

    One without a task is held to parity alone: what a converted file answers there is as the torch model does.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
    shape: tuple[Annotated[int, Ge(1)], ...]
    dtype: Element = "float32"
    meaning: Annotated[str, Field(description="what its values are, for people who use the model")] = ""
    task: Annotated[str | None, Field(description="what its labels are (edgebuild tasks); none: features, states")] = (
        None
    )
    labels: Labels = ()
    weight: Annotated[float, Field(gt=0, description="of its loss in training")] = 1.0
    decoder: Decoder | None = None
    scores: Annotated[Scores | None, Field(description=SCORES)] = None


def _form(outputs: object) -> str:
    return _TABLES if isinstance(outputs, list | tuple) else _COUNT


Outputs = Annotated[
    Annotated[Annotated[int, Ge(1)], Tag(_COUNT)]
    | Annotated[Annotated[tuple[Output, ...], Field(min_length=1)], Tag(_TABLES)],
    Discriminator(_form),
]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a file says of all outputs: `outputs`, and `task`, `labels`, `decoder` and `scores` of the whole model."""

    outputs: int | tuple[Output, ...] | None
    task: str | None
    labels: tuple[str, ...]
    decoder: Decoder | None = None
    scores: Scores | None = None

    @property
    def tables(self) -> tuple[Output, ...]:
        """The outputs that have a table."""
        return self.outputs if isinstance(self.outputs, tuple) else ()

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The outputs; a count of values, or of classes, is one that is a vector."""
        if isinstance(self.outputs, tuple):
            return tuple(TensorSpec(own.name, own.shape, own.dtype, own.meaning) for own in self.outputs)
        return (TensorSpec(ANSWER, (self.outputs or len(self.labels),)),)

    @property
    def heads(self) -> tuple[Head, ...]:
        """What has a task: each output with one of its own, or all outputs together where the model has one."""
        own = [(place, table) for place, table in enumerate(self.tables) if table.task]
        if own:
            return tuple(
                Head(t.name, str(t.task), (place,), t.weight, t.labels, t.decoder, t.scores) for place, t in own
            )
        every, task = self.specs, self.task or USUAL_TASK
        name = every[0].name if len(every) == 1 else task
        return (Head(name, task, tuple(range(len(every))), 1.0, self.labels, self.decoder, self.scores),)

    def key(self, head: Head) -> str:
        """The table that declares a head; empty where the model as a whole does."""
        own = {table.name: f"outputs[{place}]" for place, table in enumerate(self.tables) if table.task}
        return own.get(head.name, "")

    def check(self) -> None:
        """UsageError with the key for what is declared twice or for nothing; what tasks say of it is `tasks.check`."""
        self._check_tables()
        if isinstance(self.outputs, int) and self.labels:
            message = "labels names the classes, or outputs says how many values are answered: keep one of the two"
            raise UsageError(message, key="outputs")

    def _check_tables(self) -> None:
        """UsageError for tables that contradict each other, or what is said of the model as a whole."""
        names = [table.name for table in self.tables]
        for place, table in enumerate(self.tables):
            key = f"outputs[{place}]"
            if table.name in names[:place]:
                raise UsageError(f"outputs must have different names, not {', '.join(names)}", key=f"{key}.name")
            if table.task and (self.task or self.labels or self.decoder or self.scores):
                both = "task" if self.task else "labels" if self.labels else "decoder" if self.decoder else "scores"
                raise UsageError(f"{both} is said of the whole model as well: keep one of the two", key=f"{key}.task")
            if not table.task and (table.labels or table.decoder or table.scores or table.weight != 1.0):
                first = "labels" if table.labels else "decoder" if table.decoder else "scores" if table.scores else ""
                unused = first or "weight"
                raise UsageError(f"output {table.name!r} has no task to use it", key=f"{key}.{unused}")
        if self.tables and not (any(table.task for table in self.tables) or self.task or self.labels):
            message = "no output has a task, so there is nothing to learn or to judge"
            raise UsageError(message, key="outputs", hint="edgebuild tasks lists what there is")
