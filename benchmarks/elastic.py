"""Elastic networks: CPU time of one training for three widths against three trainings, and what its slices answer."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _project
from benchmarks._digits import TRAINING, Digits
from benchmarks._tables import Table
from edgebuild.engine.store import Store
from edgebuild.gates.statistics import paired
from edgebuild.spec import artifact, dataset
from edgebuild.spec.artifact import Input, Step, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.elastic import Elastic
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.slice import Slice

if TYPE_CHECKING:
    import numpy as np

FORMAT, WIDTHS, MARGIN = "tflite", (0.25, 0.5, 0.75), 0.01
LEARNS: Mapping[str, Any] = {"batch_size": 64, "learning_rate": 0.05, "temperature": 2.0, "alpha": 0.5}
APART, TOGETHER = 18, 4  # epochs: of a training for one width (as the digits declare), and of that for all
_COLUMNS = {
    "width": ("width", ""),
    "bytes": ("int8 file, bytes", ",d"),
    "right": ("right", ".2%"),
    "drop": ("drop below (95 %), pp", ".2f"),
    "verdict": ("1 pp", ""),
    "right_apart": ("right, trained alone", ".2%"),
    "apart": ("CPU of that, s", ".0f"),
    "right_brief": ("right, alone for as many epochs as together", ".2%"),
    "brief": ("CPU of that, s", ".0f"),
    "slice": ("CPU of slicing, s", ".1f"),
}


def run(*, small: bool) -> list[Table]:
    """A row a width; `small`: two widths of a small model, one epoch each."""
    widths = (0.5, 0.75) if small else WIDTHS
    apart, together = (1, 1) if small else (APART, TOGETHER)
    with tempfile.TemporaryDirectory() as folder:
        project = _project.digits(Path(folder), small=small)
        digits = Digits(project, Store(project.store), TRAINING)
        digits.bring_up(1)
        bench = _Bench(Path(folder) / "bench", digits.folder(digits.weights.float), digits.folder(digits.weights.data))
        return [_table(bench, widths, apart, together)]


def _table(bench: _Bench, widths: tuple[float, ...], apart: int, together: int) -> Table:
    widest = max(widths)  # no target takes the whole, so it is not trained: what is pruned to the widest stands for it
    leading, cut_down = bench.done(PruneChannels(ratio=1 - widest), bench.float)
    shares = {width: width / widest for width in widths}
    several = Elastic(widths=tuple(share for share in shares.values() if share < 1), epochs=together, **LEARNS)
    elastic, trained = bench.done(several, leading)
    all_of_it, rows = cut_down + trained, []
    for width in widths:
        narrow, pruned = bench.done(PruneChannels(ratio=1 - width), bench.float)
        alone, learnt = bench.done(Distill(epochs=apart, **LEARNS), narrow)
        brief, briefly = bench.done(Distill(epochs=together, **LEARNS), narrow)
        cut, sliced = bench.done(Slice(width=shares[width]), elastic)
        lost = bench.against_float(cut)
        bound = paired.drop_bound(lost["lost"], lost["won"], lost["n"])
        rows.append(
            {
                "width": f"{width:g}",
                "bytes": lost["bytes"],
                "right": lost["right"],
                "drop": 100 * bound.high,
                "verdict": "pass" if bound.high < MARGIN else "not shown",
                "right_apart": bench.against_float(alone)["right"],
                "apart": pruned + learnt,
                "right_brief": bench.against_float(brief)["right"],
                "brief": pruned + briefly,
                "slice": sliced,
            }
        )
    separate, briefly_so = (sum(row[key] for row in rows) for key in ("apart", "brief"))
    shared = all_of_it + sum(row["slice"] for row in rows)
    notes = [
        f"One training for all widths, {together} epochs, of the network pruned to the widest: {all_of_it:.0f} s of "
        f"CPU, with slicing {shared:.0f} s. "
        f"{len(widths)} trainings by `prune_channels` and `distill`, {apart} epochs each as the digits declare: "
        f"{separate:.0f} s; {together} epochs each: {briefly_so:.0f} s.",
        f"On {lost['n']} held-out digits; the float model, trained for {TRAINING.epochs} epochs, has "
        f"{lost['float']:.2%}. One seed, one thread; the float model teaches.",
    ]
    figures = {"times": f"{separate / shared:.1f}", "brief_times": f"{briefly_so / shared:.1f}"}
    return Table("One training, several networks", _COLUMNS, rows, notes, figures)


class _Bench:
    """Runs steps here, where their CPU time can be told apart."""

    def __init__(self, folder: Path, model: Path, data: Path) -> None:
        import torch

        torch.set_num_threads(1)  # threads that wait for each other would count as CPU time
        self._folder, self.float, self._data, self._count = folder, model, data, 0
        self._float_hits: np.ndarray | None = None

    def done(self, step: Step, model: Path, kind: str = "torch") -> tuple[Path, float]:
        """What a step makes of a model, and the seconds of CPU that it takes."""
        self._count += 1
        output = self._folder / f"{self._count}-{type(step).__name__}"
        scratch = output.with_suffix(".scratch")
        for each in (output, scratch):
            each.mkdir(parents=True)
        roles = {"model": (kind, model), "teacher": ("torch", self.float), "data": ("data", self._data)}
        inputs = {role: Input(of, "0" * 64, path) for role, (of, path) in roles.items() if role in step.uses()}
        print(f"elastic: {step}", file=sys.stderr, flush=True)
        start = time.process_time()
        kept = self._folder / "kept" / type(step).__name__  # the teacher is asked once for all three trainings
        artifact.perform(step, StepIO(inputs, output, scratch, kept=kept))
        return output, time.process_time() - start

    def against_float(self, model: Path) -> dict[str, Any]:
        """How the int8 file of a model answers the held-out examples beside the float model."""
        file, _ = self.done(Int8(), self.done(Convert(FORMAT), model)[0], FORMAT)
        content = (file / FORMATS.get(FORMAT).file).read_bytes()
        if self._float_hits is None:
            plain, _ = self.done(Convert(FORMAT), self.float)
            self._float_hits = self._hits((plain / FORMATS.get(FORMAT).file).read_bytes())
        hits, whole = self._hits(content), self._float_hits
        counts = {"lost": int((whole & ~hits).sum()), "won": int((hits & ~whole).sum()), "n": len(hits)}
        return {**counts, "bytes": len(content), "right": float(hits.mean()), "float": float(whole.mean())}

    def _hits(self, content: bytes) -> np.ndarray:
        import numpy as np

        test = dataset.read(self._data, "test").take(slice(None))
        samples = ((row[None],) for row in test.inputs[0])
        answers = np.concatenate([given[0] for given in FORMATS.get(FORMAT)().run(content, [*samples])])
        return np.asarray(answers.argmax(1) == test.labels[0])
