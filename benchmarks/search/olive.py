"""Olive's own search of the float digits model, in as many minutes as ours: `python -m benchmarks.search.olive`.

Of our space it can express what numbers a file computes in, with options of its own; nothing is pruned or taught again.
It judges by the same validation examples and by time on this machine; what it ends with is measured as our files are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _project, peers
from benchmarks.__main__ import RESULTS
from benchmarks._tables import Table, read, render, write
from benchmarks.peers import _environments
from benchmarks.search import MINUTES, MODEL, RECIPES, TARGET
from edgebuild.devices.jobs.job import write_inputs
from edgebuild.engine.store import Store
from edgebuild.spec import dataset, model_file
from edgebuild.spec.project import open_project

_NAME = "search_olive"
_MOST = 6  # of the files that Olive ends with, the best by its own order


def run() -> Table:
    """A row for the float file, and one for each of the best that Olive ends with."""
    board = _project.target(TARGET)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, store = _project.digits(folder / "project", small=False), open_project(_project.ROOT).store
        model = project.model(MODEL).folder
        file = peers._ours("float", "", "onnx", model, store)
        _write_examples(store, folder)
        output, began = folder / "olive", time.monotonic()
        _search(file, folder, output)
        minutes, told = (time.monotonic() - began) / 60, json.loads((output / "found.json").read_text())
        best = [output / f"{number}.onnx" for number in range(min(_MOST, len(told["best"])))]
        made = [
            peers.Made("float", file, None),
            *(peers.Made(_called(told, n), each, None) for n, each in enumerate(best)),
        ]
        test = peers._data(model)["test"]
        rows = peers._measured(board, made, test, folder / "measured", model_file.layouts(file), peers._TIMING)
    notes = [
        f"Olive {_olive()} evaluated {told['tried']} files in {minutes:.1f} of {MINUTES} min, {len(told['best'])} on "
        "its front; TPE over static and dynamic 8-bit integers and 16-bit floats with all options that it searches.",
        "Accuracy on the test examples, which no search saw; bytes and predicted time as everywhere here.",
        *_ours(),
    ]
    columns = {key: peers._COLUMNS[key] for key in ("name", "accuracy", "drop", "bytes", "instructions", "ms")}
    best_ = {key: min((row[key] for row in rows[1:]), default=rows[0][key]) for key in ("bytes", "ms")}
    figures = {"bytes": f"{best_['bytes']:,}", "ms": f"{best_['ms']:.3f}", "tried": str(told["tried"])}
    return Table("What Olive's search ends with", columns, rows, notes, figures)


def _write_examples(store: Path, folder: Path) -> None:
    """The examples that our searches choose by, and the first of those that are trained with, for calibration."""
    opened = Store(store)
    try:
        if opened.last(f"{MODEL}/choose-by") is None:
            sys.exit("run `python -m benchmarks search` first: both searches choose by the same examples")
        chosen, data = _project.made(opened, f"{MODEL}/choose-by"), _project.made(opened, f"{MODEL}/data")
    finally:
        opened.close()
    held, train = dataset.read(chosen, "test"), dataset.read(data, "train")
    arrays: dict[str, Any] = {"0": held.inputs[0][:], "labels": held.labels[0][:]}
    np.savez(folder / "held.npz", **arrays)
    write_inputs(folder / "examples.npz", (train.inputs[0][: peers.CALIBRATION],))


def _search(file: Path, folder: Path, output: Path) -> None:
    """Olive's in its own environment; what it says is in `said`, of which the end is shown where it fails."""
    output.mkdir()
    script = _environments.HERE / "olive" / "search.py"
    words = (file, folder / "examples.npz", folder / "held.npz", output, MINUTES, RECIPES)
    command = [str(_environments.python(script.parent)), str(script), *map(str, words)]
    with (folder / "said").open("w") as said:
        done = subprocess.run(command, check=False, cwd=output, stdout=said, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print((folder / "said").read_text()[-2000:], file=sys.stderr)
        sys.exit(done.returncode)


def _called(told: dict[str, Any], number: int) -> str:
    return f"Olive #{number}: {told['best'][number]['pass']}"


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
    """Run it and keep its table beside those of the benchmarks."""
    about, table = (__doc__ or "").split("\n", maxsplit=1)[0].partition(":")[0], run()
    tools = {name: version(name) for name in ("onnxruntime", "numpy")}
    text = render("search.olive", about, [table], tools).replace(
        "python -m benchmarks search", "python -m benchmarks.search"
    )
    write(RESULTS, _NAME, text, [table], tools)
    print(text, flush=True)


if __name__ == "__main__":
    main()
