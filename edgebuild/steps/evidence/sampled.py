"""What a model file answers on an emulated device: on as many held-out examples as its gates need, and no more."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from edgebuild.devices.jobs import outputs
from edgebuild.devices.jobs.device import Device
from edgebuild.devices.jobs.portions import Portions
from edgebuild.spec import dataset, layout
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Fidelity, Gate
from edgebuild.steps.evidence._deciding import Deciding
from edgebuild.steps.evidence._spending import Spending
from edgebuild.steps.evidence.accuracy import read_hits

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array


@dataclass(frozen=True, slots=True)
class Sampled:
    """`outputs.npz` and `origin.json` as `Outputs` writes them; `looks` in the latter tells where and why it stopped.

    Examples are drawn at random, always in the same order. With `gates`, which take the inputs `candidate` and
    `baseline` (the host's outputs of this file and of the float one), the device stops as soon as these are decided, or
    cannot be; without, it runs as many as it takes, and no more than `most`. `budget`: seconds that this machine, all
    its cores at work, may take for a target of `formats` formats. What it cuts depends on the machine, and is marked.
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

    consumes: ClassVar[tuple[str, ...]] = ("onnx", "tflite")
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy", "scipy")
    deterministic: ClassVar[Determinism] = "no"  # how much a budget allows is the machine's
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Run examples until nothing more is needed, or can be had."""
        test = dataset.read(io.path("data"), "test")
        most = min(limit for limit in (self.device.examples, self.most, len(test)) if limit is not None)
        rows = dataset.drawn(len(test))[:most]
        portions = self._portions(io, tuple(values[rows] for values in test.inputs))
        spending = Spending(most, self._seconds(io.cores.count), self._deciding(io, test.labels, most))
        while (goal := spending.goal(portions, self._right(portions, test.labels[rows]))) is not None:
            with io.cores.more(portions.processes(goal, io.cores.count) - 1) as others:
                portions.more(goal, 1 + others, spending.left(portions), partial(_tell, io, goal, most))
        self._write(io, portions, len(test), spending)
        shutil.rmtree(portions.kept)

    def _portions(self, io: StepIO, inputs: tuple[Array, ...]) -> Portions:
        file = io.path("model") / FORMATS.get(io.kind("model")).file
        model = outputs.ModelJob(file, self.threads, self.providers, layout.of_file(file))
        return Portions(self.device, model, inputs, io.partial or io.scratch / "kept", io.scratch, self.timeout)

    def _seconds(self, cores: int) -> float:
        """CPU time that this file may take."""
        return math.inf if self.budget is None else self.budget * cores / self.formats

    def _deciding(self, io: StepIO, labels: Array, most: int) -> Deciding | None:
        """What the host knows, before the device has answered anything; None where no gate is asked."""
        import numpy as np

        if not self.gates:
            return None
        hits = {role: read_hits(io.path(role), labels) for role in ("candidate", "baseline")}
        classes = {str(number): labels == number for number in np.unique(labels).tolist()}
        return Deciding(self.gates, hits, classes, dataset.slices(io.path("data")), most)

    def _right(self, portions: Portions, labels: Array) -> Array | None:
        """Which of the examples that ran the device gets right, [n] bool; None where no gate is asked."""
        import numpy as np

        if not self.gates:
            return None
        if not portions.n:
            return np.zeros(0, bool)
        right: Array = portions.values()[0].argmax(1) == labels[: portions.n]
        return right

    def _write(self, io: StepIO, portions: Portions, total: int, spending: Spending) -> None:
        """Outputs in the order of `dataset.chosen`, which is that of the data where every example ran."""
        import numpy as np

        values = portions.values()
        if portions.n == total:
            values = [part[np.argsort(dataset.drawn(total))] for part in values]
        np.savez(io.output / "outputs.npz", **{str(k): part for k, part in enumerate(values)})  # type: ignore[arg-type]
        origin = {"fidelity": self.fidelity, "device": self.device.transport, "runtimes": portions.done[0].runtimes}
        (io.output / "origin.json").write_text(json.dumps(origin | {"looks": spending.told()}, sort_keys=True) + "\n")


def _tell(io: StepIO, goal: int, most: int, n: int) -> None:
    bound = "" if goal == most else "≤ "
    io.progress(n / goal, f"{n} of {bound}{most} examples")
