"""The recipes that come with edgebuild, each built for the Raspberry Pi 4 on the digits model and judged there."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import _project
from benchmarks._tables import Table
from edgebuild.engine.task import Limits
from edgebuild.report import progress
from edgebuild.spec.evidence import ONLY
from edgebuild.spec.project import Project, open_project
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.request import Request

TARGET = "rpi4"
_COLUMNS = {
    "recipe": ("recipe", ""),
    "format": ("format", ""),
    "accuracy": ("accuracy", ".2%"),
    "drop": ("drop below (95 %), pp", ".2f"),
    "download": ("download, bytes", ",d"),
    "smaller": ("times smaller", ".1f"),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "faster": ("times faster", ".1f"),
    "verdict": ("verdict", ""),
}


def run(*, small: bool) -> list[Table]:
    """A row for each recipe and format, float first; `small`: one recipe and format on a small model."""
    _project.target(TARGET)
    if not small:
        return [_table(open_project(_project.ROOT), [])]
    with tempfile.TemporaryDirectory() as folder:
        project = _project.digits(Path(folder), small=True)
        _project.with_target(project.root, TARGET, examples=20, formats=("tflite",), short=True)
        return [_table(project, ["balanced"])]


def _table(project: Project, recipes: list[str]) -> Table:
    rows = []
    for recipe in recipes or [name for name in project.recipe_files() if project.recipe(name).otherwise is None]:
        with progress.display(sys.stderr) as events:
            (outcome,), _ = build(Request(project, (TARGET,), ("digits",), recipe=recipe), events, Limits())
        rows += list(_rows(recipe, outcome))
    notes = [
        "Accuracy on held-out digits; the drop is one-sided, differences between host and device included.",
        "One thread; times and their ratios have the bands of the target's profile. One seed.",
    ]
    return Table(f"digits on {TARGET}", _COLUMNS, rows, notes)


def _rows(recipe: str, outcome: Outcome) -> Iterator[dict[str, Any]]:
    for name, judged in outcome.verdicts.formats.items():
        evidence, verdicts = judged.evidence, {each.metric: each for each in judged.verdicts}
        footprint, latency, accuracy = evidence.footprint, evidence.latency, evidence.accuracy
        drop = verdicts["accuracy"].high
        # digits has gates on all of them
        assert footprint is not None
        assert latency is not None
        assert accuracy is not None
        assert drop is not None
        stopped = [metric for metric, each in verdicts.items() if each.status != "pass"]
        yield {
            "recipe": recipe,
            "format": name,
            "accuracy": accuracy.heads[ONLY].candidate.accuracy,
            "drop": 100 * drop,
            "download": footprint.candidate.download,
            "smaller": footprint.baseline.bytes / footprint.candidate.download,
            "ms": 1e3 * latency.candidate_seconds[0],
            "faster": latency.baseline_seconds[0] / latency.candidate_seconds[0],
            "verdict": judged.status + (f": {', '.join(stopped)}" if stopped else ""),
        }
