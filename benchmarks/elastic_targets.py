"""One training of an elastic network for three targets, each with gates of its own, on the digits model."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import _project
from benchmarks._tables import Table
from edgebuild.engine.task import Limits
from edgebuild.report import progress
from edgebuild.spec.evidence import ONLY
from edgebuild.spec.project import open_project
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.request import Request

BOARD, MODEL, FORMAT, EPOCHS = "rpi4", "digits", "tflite", 6
ROUND_TO = 8  # the board's multiple of channels
# By target: the slice's width, and the gates that were written before anything was built.
TARGETS = {
    "small": (0.25, {"size": "64 KiB", "latency": "-90 %"}),
    "middle": (0.5, {"size": "160 KiB", "latency": "-75 %"}),
    "large": (0.75, {"size": "256 KiB", "latency": "-50 %"}),
}
_COLUMNS = {
    "target": ("target", ""),
    "width": ("width of the slice", ""),
    "gates": ("gates beside 1 pp of accuracy", ""),
    "bytes": ("bytes", ",d"),
    "macs": ("multiplications, of the whole's", ".0%"),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "change": ("change of time", "+.1%"),
    "right": ("right", ".2%"),
    "drop": ("drop below, pp", ".2f"),
    "verdict": ("verdict", ""),
}
_RECIPE = """
[[recipe.steps]]
use = "elastic"
epochs = {epochs}
alpha = 0.5
temperature = 2.0
round_to = {round_to}

[[recipe.steps]]
use = "slice"
width = {width}

[[recipe.steps]]
use = "int8"
"""


def run(*, small: bool) -> list[Table]:
    """A row a target; `small`: one target, which is this machine, and a small model."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _project.digits(root, small=small)
        if small:
            # the few channels of the small model stay apart in multiples of 2
            recipe = _recipe(TARGETS["middle"][0], epochs=1, round_to=2)
            _project.short_target(root, "middle", recipe, looks=6)
            return [_table(root, {"middle": TARGETS["middle"]}, small=True)]
        _boards(root)
        return [_table(root, TARGETS, small=False)]


def _boards(root: Path) -> None:
    """A board for each target, by its name."""
    _project.target(BOARD)
    _project.with_target(root, BOARD, examples=2000, formats=(FORMAT,))
    profile = (root / "targets" / f"{BOARD}.toml").read_text(encoding="utf-8")
    for name, (width, _) in TARGETS.items():
        recipe = _recipe(width, epochs=EPOCHS, round_to=ROUND_TO)
        (root / "targets" / f"{name}.toml").write_text(f"{profile}\n{recipe}", encoding="utf-8")


def _recipe(width: float, *, epochs: int, round_to: int) -> str:
    return _RECIPE.format(epochs=epochs, round_to=round_to, width=width)


def _table(root: Path, chosen: Mapping[str, tuple[float, Mapping[str, str]]], *, small: bool) -> Table:
    declared = root / "models" / MODEL / "model.toml"
    with declared.open("a", encoding="utf-8") as file:
        for name, (_, gates) in chosen.items():
            lines = "\n".join(f'{gate} = "{limit}"' for gate, limit in gates.items())
            file.write(f"\n[budgets.{name}]\n{lines}\n")
    project = open_project(root) if small else replace(open_project(root), store=open_project(_project.ROOT).store)
    with progress.display(sys.stderr) as events:
        outcomes, _ = build(Request(project, tuple(chosen), (MODEL,)), events, Limits())
    rows = [_row(outcome, *chosen[outcome.target]) for outcome in outcomes]
    notes = [
        f"Each target has the profile of `{BOARD}`; one build: `elastic` trained once for all ({EPOCHS} epochs), and "
        "each target's `slice` and `int8` made of it what it takes.",
        "Held-out digits on the emulated board, one thread, one seed; the drop at the confidence of the gates.",
    ]
    return Table("Three targets of one training", _COLUMNS, rows, notes)


def _row(outcome: Outcome, width: float, gates: Mapping[str, str]) -> dict[str, Any]:
    judged = outcome.verdicts.formats[FORMAT]
    evidence, footprint, latency = judged.evidence, judged.evidence.footprint, judged.evidence.latency
    # digits has gates on all of them
    assert footprint is not None
    assert latency is not None
    assert evidence.accuracy is not None
    drop = next(each.high for each in judged.verdicts if each.metric == "accuracy")
    assert drop is not None
    seconds, whole = median(latency.candidate_seconds), median(latency.baseline_seconds)
    return {
        "target": outcome.target,
        "width": f"{width:g}",
        "gates": ", ".join(f"{gate} {limit}" for gate, limit in gates.items()),
        "bytes": footprint.candidate.bytes,
        "macs": footprint.candidate.macs / footprint.baseline.macs,
        "ms": 1e3 * seconds,
        "change": seconds / whole - 1,
        "right": evidence.accuracy.heads[ONLY].candidate.accuracy,
        "drop": 100 * drop,
        "verdict": outcome.status,
    }
