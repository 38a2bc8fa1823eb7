"""Olive's own search of the float digits model, in as many minutes as ours: `python -m benchmarks.search.olive`.

Of our space it can express what numbers a file computes in, with options of its own; nothing is pruned or taught again.
It judges by the same validation examples and by time on this machine; what it has is measured as our files are. It does
not keep the time that it is given, so its processes are ended here, and what it has tried is read from its cache.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _project, peers
from benchmarks.__main__ import RESULTS
from benchmarks._tables import Table, read, render, write
from benchmarks.peers import _environments
from benchmarks.search import JOBS, MINUTES, MODEL, RECIPES, TARGET
from edgebuild.devices.jobs.job import write_inputs
from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.plan.instruments import Instruments
from edgebuild.plan.trying import Subject, Trying
from edgebuild.report import progress
from edgebuild.spec import dataset, model_file
from edgebuild.spec.errors import StepError
from edgebuild.spec.project import Project, open_project
from edgebuild.verbs.journal import Journal, bring_up

_NAME = "search_olive"
_MOST = 6  # of the files on the front
_GOAL = 0.01  # what Olive is told that validation answers may lose, as a share of all
_GRACE_SECONDS = 10.0
_HELD = {"held": ("accuracy (validation, by Olive)", ".2%")}


@dataclass(frozen=True, slots=True)
class Tried:
    """A file that Olive has evaluated: the pass that made it ("" for the float one), right answers to the validation
    examples as a share, milliseconds on this machine and bytes, as Olive says.
    """

    name: str
    file: Path | None
    accuracy: float
    ms: float
    bytes: float

    def beats(self, other: Tried) -> bool:
        """Whether it is better in one way, and worse in none."""
        mine, theirs = ((-each.accuracy, each.ms, each.bytes) for each in (self, other))
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def run(minutes: float) -> Table:
    """A row for the float file, and one for each of the best that Olive has after so many minutes."""
    board = _project.target(TARGET)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, store = _project.digits(folder / "project", small=False), open_project(_project.ROOT).store
        model = project.model(MODEL).folder
        _write_examples(project, store, folder)
        file = peers._ours("float", "", "onnx", model, store)
        began = time.monotonic()
        ended = _search(file, folder, minutes)
        took, tried = (time.monotonic() - began) / 60, _tried(folder / "olive" / "cache")
        before, best = _front(tried)
        made = [peers.Made("float", file, None)]
        made += [peers.Made(f"Olive: {each.name}", each.file, None) for each in best if each.file is not None]
        test = peers._data(model)["test"]
        rows = peers._measured(board, made, test, folder / "measured", model_file.layouts(file), peers._TIMING)
    for row, each in zip(rows, [before, *best], strict=True):
        row["held"] = each.accuracy if each else None
    notes = [
        f"Olive {_olive()} evaluated {len(tried) - 1} files in {took:.1f} min and {ended}; {len(best)} are on its "
        "front of answers, time and bytes within what it was told that answers may lose. TPE over static and dynamic "
        "8-bit integers and 16-bit floats with all options that it searches.",
        "Accuracy on the test examples, which no search saw; bytes and predicted time as everywhere here.",
        *_ours(),
    ]
    columns = {key: peers._COLUMNS[key] for key in ("name", "accuracy", "drop", "bytes", "instructions", "ms")} | _HELD
    best_ = {key: min((row[key] for row in rows[1:]), default=rows[0][key]) for key in ("bytes", "ms")}
    figures = {"bytes": f"{best_['bytes']:,}", "ms": f"{best_['ms']:.3f}", "tried": str(len(tried) - 1)}
    return Table("What Olive's search has in the same minutes", columns, rows, notes, figures)


def _write_examples(project: Project, root: Path, folder: Path) -> None:
    """The examples that our searches choose by, and the first of those that are trained with, for calibration."""
    store = Store(root)
    try:
        subject, graph = Subject.of(project.target(TARGET), project.model(MODEL), project.policy()), Graph()
        Trying(graph, store, subject, Instruments(subject.target))
        graph.keep([name for name in graph.nodes if f"{MODEL}/choose-by" in graph.labels[name]])
        with progress.display(sys.stderr) as events:
            bring_up(store, graph, JOBS, Journal(events), Limits())
        chosen, data = _project.made(store, f"{MODEL}/choose-by"), _project.made(store, f"{MODEL}/data")
        held, train = dataset.read(chosen, "test"), dataset.read(data, "train")
        arrays: dict[str, Any] = {"0": held.inputs[0][:], "labels": held.labels[0][:]}
        np.savez(folder / "held.npz", **arrays)
        write_inputs(folder / "examples.npz", (train.inputs[0][: peers.CALIBRATION],))
    finally:
        store.close()


def _search(file: Path, folder: Path, minutes: float) -> str:
    """Olive's in its own environment, for so long and no longer; how it ended. StepError where it fails."""
    output, script = folder / "olive", _environments.HERE / "olive" / "search.py"
    output.mkdir()
    words = (file, folder / "examples.npz", folder / "held.npz", output, minutes, RECIPES)
    command = [str(_environments.python(script.parent)), str(script), *map(str, words)]
    said = output / "said"
    with said.open("w") as log:
        olive = subprocess.Popen(command, cwd=output, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = olive.wait(60 * minutes)
        except subprocess.TimeoutExpired:
            return "was ended then, for it goes on beyond the time that it is given"
        finally:
            _end(olive)
    if status != 0:
        raise StepError(f"Olive's search ended with {status}: {said.read_text(errors='replace')[-1000:]}")
    return "ended by itself"


def _end(olive: subprocess.Popen[bytes]) -> None:
    """It and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(olive.pid, number)
        with suppress(subprocess.TimeoutExpired):
            olive.wait(_GRACE_SECONDS)


def _tried(cache: Path) -> list[Tried]:
    """What Olive's cache says of every file that it has evaluated, the float one first; what was cut short is not."""
    tried = []
    for path in cache.rglob("evaluations/*.json"):
        with suppress(ValueError, KeyError):
            run_, figures = path.parents[1] / "runs" / path.stem.partition("-")[0], json.loads(path.read_text())
            signal_ = figures["signal"]
            values = [_value(signal_, name) for name in ("accuracy-accuracy_score", "latency-avg", "size-bytes")]
            file = next(run_.glob("models/**/*.onnx"), None)
            made = json.loads((run_ / "run.json").read_text())["pass_name"] if file else ""
            tried.append(Tried(made, file, *values))
    return sorted(tried, key=lambda each: each.file is not None)


def _value(signal_: Mapping[str, Any], name: str) -> float:
    return float(next(each["value"] for key, each in signal_.items() if key.startswith(name)))


def _front(tried: list[Tried]) -> tuple[Tried | None, list[Tried]]:
    """What Olive says of the float file; and of those within its goal the ones that none beats, the fastest first."""
    before = next((each for each in tried if each.file is None), None)
    least = before.accuracy - _GOAL if before else -math.inf
    allowed = [each for each in tried if each.file is not None and each.accuracy >= least]
    front = [each for each in allowed if not any(other.beats(each) for other in allowed)]
    front.sort(key=lambda each: each.ms)
    smallest = [min(front, key=lambda each: each.bytes)] if len(front) > _MOST else []
    kept = front[: _MOST - len(smallest)]
    return before, [*kept, *(each for each in smallest if each not in kept)]


def _olive() -> str:
    lines = (_environments.HERE / "olive" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("olive-ai"))


def _ours() -> list[str]:
    """What our own search came to, where its benchmark has been run."""
    if not (RESULTS / "search.json").is_file():
        return []
    beside = next((table for table in read(RESULTS, "search") if "beside" in table.title), None)
    return [
        f"Ours, {row['recipe']}: {row['accuracy']:.2%}, {row['bytes']:,} bytes, {row['ms']:.3f} ms."
        for row in (beside.rows if beside else ())
    ]


def main() -> None:
    """Run it, for other minutes where they are named; those of our search are kept beside the benchmarks' results."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    about, table = (__doc__ or "").split("\n", maxsplit=1)[0].partition(":")[0], run(minutes)
    tools = {name: version(name) for name in ("onnxruntime", "numpy")}
    text = render("search.olive", about, [table], tools).replace(
        "python -m benchmarks search", "python -m benchmarks.search"
    )
    if minutes == MINUTES:
        write(RESULTS, _NAME, text, [table], tools)
    print(text, flush=True)


if __name__ == "__main__":
    main()
