"""Whether the device answers as the host does: what lets a host's run over all examples speak for the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import documents, drawing, evidence, tasks
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence._outputs import named, origin, read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array
    from edgebuild.spec.task import Task


@dataclass(frozen=True, slots=True)
class Agreement(Step):
    """Inputs: `device`, the outputs of some held-out examples there, and `host`, of all of them here."""

    outputs: tuple[str, ...] = (evidence.ONLY,)
    heads: tuple[Head, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("device", "host")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        device, host = ([*named(self.outputs, read(io.path(role))).values()] for role in ("device", "host"))
        n, of = len(device[0]), len(host[0])
        same = [values[drawing.chosen(of, n)] for values in host]
        compared = {}
        for name, positions in self._read().items():
            task = next((tasks.of(head) for head in self.heads if head.outputs == positions), None)
            here, there = ([values[position] for position in positions] for values in (device, same))
            compared[name] = compare(here, there, task)
        agreement = evidence.Agreement(origin(io.path("device")), n, of, n == of, compared)
        documents.write(io.output / evidence.FILE, agreement)

    def _read(self) -> dict[str, tuple[int, ...]]:
        """Every output, and beside these each head that reads several."""
        alone = {name: (position,) for position, name in enumerate(self.outputs)}
        return alone | {head.name: head.outputs for head in self.heads if len(head.outputs) > 1}


def compare(device: Sequence[Array], host: Sequence[Array], task: Task | None = None) -> evidence.Differences:
    """How outputs [n, …] of the same examples differ, one or those of a head together.

    `task` says what they choose, if they do; of others no answer differs. Equal bits on some examples do not speak for
    the others: an ONNX file has been seen whose outputs were identical on 14 of 16 inputs and not on the other two.
    """
    import numpy as np

    pairs = [*zip(device, host, strict=True)]
    choosing = task is not None and task.choice
    return evidence.Differences(
        identical=all(np.array_equal(here, there) for here, there in pairs),
        distinct=max(len(np.unique(values)) for values in device),
        max_abs=max(float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)))) for a, b in pairs),
        values_differing=sum(int(np.sum(here != there)) for here, there in pairs),
        answers_differing=int(np.sum(task.choices(device) != task.choices(host))) if task and choosing else 0,
    )
