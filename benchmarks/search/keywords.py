"""A keyword spotter for which no stock recipe passes, and what a search finds: `python -m benchmarks.search.keywords`.

MLPerf Tiny's DS-CNN as its SavedModel came, judged on half of the speakers of its test set, on a Raspberry Pi 4 that
asks for a third of the bytes and six tenths of the time. `EDGEBUILD_KWS` names a folder with `saved_model/` and
`test.npz` (mlcommons/tiny; arrays x, y, speaker and the names of its classes).
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import _project
from benchmarks.__main__ import RESULTS
from benchmarks._tables import Table, render, write
from edgebuild.engine.task import Limits
from edgebuild.report import progress, searching
from edgebuild.search.record import Result
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.evidence import ONLY, known
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.target import SEARCHED
from edgebuild.verbs import search
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.prove import prove
from edgebuild.verbs.request import Request

FOLDER = "EDGEBUILD_KWS"
TARGET, MODEL = "rpi4", "keywords"
MINUTES, RECIPES, JOBS = 20, 200, 2
LIMITS = {"accuracy": "1 pp", "parity": "1e-3", "size": "-65 %", "latency": "-40 %"}
_NAME = "search_keywords"
_DECLARED = """\
description = "Keywords: the DS-CNN of MLPerf Tiny"
labels = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]
source = {use = "saved_model", file = "$EDGEBUILD_KWS/saved_model"}
data = {use = "npz", file = "$EDGEBUILD_KWS/test.npz", inputs = ["x"], labels = ["y"], group = "speaker", test = 0.5}
inputs = [{name = "input_1", shape = [49, 10, 1]}]
"""
_COLUMNS = {
    "recipe": ("recipe", ""),
    "status": ("verdict", ""),
    "format": ("format", ""),
    "accuracy": ("accuracy (test)", ".2%"),
    "bytes": ("bytes", ",d"),
    "bytes_less": ("less than float", ".0%"),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "time_less": ("less than float", ".0%"),
    "missed": ("not passed", ""),
}


def run() -> Table:
    """A row for each recipe that comes with the product, then one for what of the search is proved."""
    place = Path(os.environ.get(FOLDER) or "")
    if not os.environ.get(FOLDER) or not (place / "test.npz").is_file():
        raise UsageError(f"{FOLDER} names no folder with test.npz", hint="see the first lines of this file")
    _project.target(TARGET)
    with tempfile.TemporaryDirectory() as name:
        project = replace(_made(Path(name)), store=open_project(_project.ROOT).store)
        stock = [_row(project, each, each) for each in sorted(project.recipe_files())]
        result = _searched(project)
        best, verdicts = _proved(project) if result.front else ({}, [])
        return Table(
            f"{MODEL} on {TARGET}, within {', '.join(f'{metric} {limit}' for metric, limit in LIMITS.items())}",
            _COLUMNS,
            [*stock, *([best] if best else [])],
            _notes(result, verdicts),
            _figures(result, stock, best),
        )


def _made(folder: Path) -> Project:
    """The model as it came, and the product's own target with limits of its own."""
    model = folder / "models" / MODEL
    model.mkdir(parents=True)
    (model / "model.toml").write_text(_DECLARED, encoding="utf-8")
    _project.with_target(folder, TARGET, examples=2500)
    target = folder / "targets" / f"{TARGET}.toml"
    gates = ", ".join(f'{{metric = "{metric}", limit = "{limit}"}}' for metric, limit in LIMITS.items())
    target.write_text(f"gates = [{gates}]\n{target.read_text(encoding='utf-8')}", encoding="utf-8")
    return open_project(folder)


def _searched(project: Project) -> Result:
    with searching.display(sys.stderr) as watcher:
        request = search.Request(project, TARGET, MODEL, 60.0 * MINUTES, RECIPES, None, JOBS)
        return search.run(request, watcher, Limits())


def _proved(project: Project) -> tuple[dict[str, Any], list[str]]:
    """The cheapest point that passes, of those that are proved one after another, and the verdict on each of these."""
    with progress.display(sys.stderr) as events:
        request = Request(project, (TARGET,), (MODEL,), JOBS, recipe=SEARCHED)
        (outcome,), journal = prove(request, events, Limits())
    verdicts = [each for each in journal.notices if ": #" in each]
    last = [each for each in verdicts if each.startswith("pass")][-1:] or verdicts[:1]
    return {"recipe": f"searched, {last[0].partition(': ')[2]}"} | _judged(outcome), verdicts


def _row(project: Project, recipe: str, title: str) -> dict[str, Any]:
    """What is judged of a recipe on the test examples; of one that a step refuses why."""
    print(f"  {title}", file=sys.stderr, flush=True)
    try:
        with progress.display(sys.stderr) as events:
            (outcome,), _ = build(Request(project, (TARGET,), (MODEL,), JOBS, recipe=recipe), events, Limits())
    except EdgebuildError as error:
        return dict.fromkeys(_COLUMNS) | {"recipe": title, "status": "refused", "missed": error.reason}
    return {"recipe": title} | _judged(outcome)


def _judged(outcome: Outcome) -> dict[str, Any]:
    judged, verdicts = outcome.verdicts.shipped, outcome.verdicts.shipped.verdicts
    footprint, latency = known(judged.evidence.footprint), known(judged.evidence.latency)
    seconds, before = latency.candidate_seconds[0], latency.baseline_seconds[0]
    return {
        "status": judged.status,
        "format": outcome.verdicts.format,
        "accuracy": known(judged.evidence.accuracy).heads[ONLY].candidate.accuracy,
        "bytes": footprint.candidate.download,
        "bytes_less": 1 - footprint.candidate.download / footprint.baseline.download,
        "ms": 1e3 * seconds,
        "time_less": 1 - seconds / before,
        "missed": ", ".join(each.metric for each in verdicts if each.status != "pass") or "–",
    }


def _notes(result: Result, verdicts: list[str]) -> list[str]:
    return [
        f"The search: {len(result.trials)} recipes in {result.seconds / 60:.0f} min on {JOBS} cores, "
        f"{result.steps.shared:.0%} of {result.steps.asked:,} steps from the store: {result.ended}.",
        f"Proved from the safest point on, to the first that does not pass: {'; '.join(verdicts) or 'none was there'}.",
        "All are judged on the test examples, which the search never saw; no speaker is in two splits.",
        "Bytes and time are held against the float file of the same format; the one that ships is shown.",
    ]


def _figures(result: Result, stock: list[dict[str, Any]], best: dict[str, Any]) -> dict[str, str]:
    return {
        "stock": str(len(stock)),
        "stock_passing": str(sum(row["status"] == "pass" for row in stock)),
        "considered": str(len(result.trials)),
        "minutes": f"{result.seconds / 60:.0f}",
        "verdict": str(best.get("status", "–")),
    }


def main() -> None:
    """Run it and keep the result beside the benchmarks'."""
    try:
        table = run()
    except EdgebuildError as error:
        print(error.line, file=sys.stderr)
        sys.exit(error.exit_code)
    tools = {name: version(name) for name in ("torch", "tensorflow", "onnxruntime", "numpy")}
    about = (__doc__ or "").split("\n", maxsplit=1)[0].partition(":")[0]
    text = render("search.keywords", about, [table], tools).replace(
        "python -m benchmarks search", "python -m benchmarks.search"
    )
    write(RESULTS, _NAME, text, [table], tools)
    print(text, flush=True)


if __name__ == "__main__":
    main()
