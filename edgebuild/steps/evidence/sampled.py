"""What a model file answers on an emulated device: on as many held-out examples as its gates need, and no more."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, documents, drawing, evidence, model_file, tasks
from edgebuild.spec.artifact import EXCUSED, FILE, Determinism, Step, StepIO
from edgebuild.spec.device import Device
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Chosen, Rows
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Fidelity, Gate
from edgebuild.steps.evidence._deciding import Deciding, Heads
from edgebuild.steps.evidence._outputs import hits, read
from edgebuild.steps.evidence._spending import Spending

if TYPE_CHECKING:
    from edgebuild.devices.jobs.portions import Portions
    from edgebuild.spec.rows import Array, Mask


@dataclass(frozen=True, slots=True)
class Sampled(Step):
    """`outputs.npz` and `origin.json` as `Outputs` writes them; `looks` in the latter tells where and why it stopped.

    Examples are drawn at random, always in the same order, and no more than `most` (None: all). With `gates`, which
    take the inputs `candidate` and `baseline` (the host's outputs of this file and of the float one), the device stops
    as soon as these are decided, or cannot be. `budget`: seconds that this machine, all its cores at work, may take for
    a target of `formats` formats. What it cuts depends on the machine, and is marked.
    """

    device: Device
    fidelity: Fidelity
    threads: int = 1
    providers: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    most: int | None = None
    budget: float | None = None
    formats: int = 1
    timeout: float = field(default=3600.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "no"  # how much a budget allows is the machine's

    @property
    def shared(self) -> Determinism:
        """What a device that counts says, it says on any machine: the key has all that emulates it."""
        return "everywhere" if self.device.counts else "no"

    def run(self, io: StepIO) -> None:
        """Run examples until nothing more is needed, or can be had."""
        test = dataset.read(io.path("data"), "test")
        most = len(test) if self.most is None else min(self.most, len(test))
        rows = drawing.drawn(len(test))[:most]
        portions = self._portions(io, tuple(Chosen(values, rows) for values in test.inputs))
        spending = Spending(most, self._seconds(io.cores.count), self._deciding(io, test.labels, most))
        heads, labels = dataset.heads(io.path("data")), tuple(own[rows] for own in test.labels)
        while (goal := spending.goal(portions, self._right(portions, heads, labels))) is not None:
            with io.cores.more(portions.processes(goal, io.cores.count) - 1) as others:
                portions.more(goal, 1 + others, spending.left(portions), partial(_tell, io, goal, most))
        self._write(io, portions, len(test), spending)
        shutil.rmtree(portions.kept)

    def _portions(self, io: StepIO, inputs: tuple[Rows, ...]) -> Portions:
        from edgebuild.devices.jobs.job import JobModel
        from edgebuild.devices.jobs.portions import Portions

        file = io.path("model") / FORMATS.get(io.kind("model")).file
        model = JobModel("model", file, self.threads, self.providers, model_file.layouts(file))
        return Portions(self.device, model, inputs, io.partial or io.scratch / "kept", io.scratch, self.timeout)

    def _seconds(self, cores: int) -> float:
        """CPU time that this file may take."""
        return math.inf if self.budget is None else self.budget * cores / self.formats

    def _deciding(self, io: StepIO, labels: Sequence[Array], most: int) -> Heads | None:
        """What the host knows, before the device has answered anything; None where no gate is asked."""
        import numpy as np

        files = {role: read(io.path(role)) for role in ("candidate", "baseline") if self.gates}
        deciding, slices = {}, dataset.slices(io.path("data"))
        groups = dataset.together(io.path("data"), "test")
        for head, own in zip(dataset.heads(io.path("data")), labels, strict=True):
            if gates := self._asked(head):
                right = {role: hits(head, outputs, own) for role, outputs in files.items()}
                numbers = np.unique(own).tolist() if own.ndim == 1 else []
                classes = {str(number): own == number for number in numbers}
                deciding[head.name] = Deciding(gates, right, classes, slices, groups, most)
        return Heads(deciding) if deciding else None

    def _asked(self, head: Head) -> tuple[Gate, ...]:
        """The gates on the answers of a head."""
        mine = (gate for gate in self.gates if gate.output in (None, head.name))
        return tuple(mine) if tasks.of(head).choice else ()

    def _right(self, portions: Portions, heads: Sequence[Head], labels: Sequence[Array]) -> dict[str, Mask] | None:
        """Which of the examples that ran the device gets right, [n] bool by head; None where no gate is asked."""
        import numpy as np

        judged = [(head, own[: portions.n]) for head, own in zip(heads, labels, strict=True) if self._asked(head)]
        if not judged:
            return None
        if not portions.n:
            return {head.name: np.zeros(0, bool) for head, _ in judged}
        outputs = portions.values()
        return {head.name: hits(head, [values[: len(own)] for values in outputs], own) for head, own in judged}

    def _write(self, io: StepIO, portions: Portions, total: int, spending: Spending[Mapping[str, Mask]]) -> None:
        """Outputs in the order of `drawing.chosen`, which is that of the data where every example ran."""
        import numpy as np

        values = portions.values()
        if portions.n == total:
            values = [part[np.argsort(drawing.drawn(total))] for part in values]
        np.savez(io.output / "outputs.npz", **{str(k): part for k, part in enumerate(values)})  # type: ignore[arg-type]
        runtimes, looks = portions.done[0].runtimes, spending.looks()
        origin = evidence.Origin(self.fidelity, self.device.transport, runtimes, looks=looks)
        documents.write(io.output / evidence.ORIGIN, origin)


def _tell(io: StepIO, goal: int, most: int, n: int) -> None:
    bound = "" if goal == most else "≤ "
    io.progress(n / goal, f"{n} of {bound}{most} examples")
