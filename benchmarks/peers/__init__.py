"""Other tools' int8 files of our digits model beside our own, all measured in the same way.

Each peer is a folder: `requirements.txt` for an environment of its own, and `quantize.py FLOAT EXAMPLES OUTPUT`. All
get the same float file and the same calibration examples.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._project import digits, target
from benchmarks._tables import Table
from benchmarks.peers import _environments
from benchmarks.peers._quantizing import as_taken, quantize
from edgebuild.devices.jobs import outputs
from edgebuild.devices.jobs.job import JobModel, write_inputs
from edgebuild.devices.local import Local
from edgebuild.devices.timing import latency
from edgebuild.gates.statistics import paired, ratio
from edgebuild.spec import model_file
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target, Timing
from edgebuild.verbs import bench

Layouts = dict[str, list[str | None]]
PEERS = {"onnx": ("onnxruntime", "olive"), "tflite": ("litert",)}
OURS = {"float": "", "edgebuild int8 alone": 'use = "int8"', "edgebuild balanced": "balanced"}
FOREIGN = ("olive",)  # cannot live in our own environment
SMALL = ("float", "edgebuild int8 alone")
CALIBRATION = 256
_TIMING = Timing(looks=(10,), iterations=100, warmup_iterations=30, warmup=0.5)
_SHORT = Timing(looks=(2,), iterations=2, warmup_iterations=1, warmup=0.01)
_COLUMNS = {
    "name": ("tool", ""),
    "accuracy": ("accuracy", ".2%"),
    "drop": ("drop below (95 %), pp", ".2f"),
    "bytes": ("bytes", ",d"),
    "times": ("time on this machine / float", ".2f"),
    "times_low": ("low", ".2f"),
    "times_high": ("high", ".2f"),
    "instructions": ("instructions, emulated Pi", ",d"),
    "ms": ("predicted on the Pi, ms", ".3f"),
    "seconds": ("made in, s", ".1f"),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A model file and how long the tool took to make it of the float file; None for ours, which trains as well."""

    name: str
    file: Path
    seconds: float | None


def run(*, small: bool) -> list[Table]:
    """A table for each format; `small`: a small model without `balanced`, beside peers that our own environment has."""
    board = target("rpi4")
    with tempfile.TemporaryDirectory() as folder:
        return [_table(board, name, Path(folder), small) for name in PEERS]


def _table(board: Target, name: str, folder: Path, small: bool) -> Table:
    project = digits(folder / f"{name}-project", small=small)
    model = project.model("digits").folder
    data = _data(model)
    examples = folder / f"{name}-examples.npz"
    store = project.store if small else _environments.cache() / "store"
    ours = SMALL if small else tuple(OURS)
    made = [Made(title, _ours(title, OURS[title], name, model, store), None) for title in ours]
    layouts = model_file.layouts(made[0].file)  # a peer's file takes its inputs as the float file does
    write_inputs(examples, (as_taken(data["train"][0][:CALIBRATION], layouts),))
    peers = [peer for peer in PEERS[name] if not small or peer not in FOREIGN]
    made += [_peer(peer, small, made[0].file, examples, folder) for peer in peers]
    rows = _measured(board, made, data["test"], folder / name, layouts, _SHORT if small else _TIMING)
    best = _best(rows[len(ours) - 1], rows[len(ours) :])
    notes = [
        f"{len(data['test'][1]):,} held-out digits; calibration with the first {CALIBRATION:,} training examples, the "
        "same for every peer; ours draws as many of them.",
        "Time on this machine: one thread, all files interleaved in one process, ten processes, Hodges-Lehmann of the "
        "ratio to float with its 95 % Wilcoxon interval.",
        "`balanced` also prunes and distills, which peers leave to the user; `int8 alone` is the like-for-like row.",
        f"`balanced` has {best['bytes']} of the bytes and {best['ms']} of the predicted time on the Pi of the best "
        "peer.",
    ]
    return Table(f"digits, {name}", _COLUMNS, rows, notes, {f"{name}_{key}": value for key, value in best.items()})


def _data(model: Path) -> dict[str, Any]:
    """The splits of the digits model, by its own function."""
    from edgebuild.nn.model_code import ModelCode

    splits: dict[str, Any] = ModelCode(model, "models/digits").function("load", "data")()
    return splits


def _ours(title: str, recipe: str, name: str, model: Path, store: Path) -> Path:
    """What the product makes of the digits with a recipe, in one format; kept in a store, so made once."""
    project = model.parent.parent / f"{name} {title}"
    shutil.copytree(model, project / "models" / "digits", ignore=shutil.ignore_patterns("__*"))
    (project / "targets").mkdir()
    steps = f'"{recipe}"' if recipe.isidentifier() else f"[{{{recipe}}}]" if recipe else "[]"
    (project / "targets" / "board.toml").write_text(
        f'description = "A Pi"\nrecipe = {steps}\nhardware = {{arch = "aarch64", cpu = "cortex-a72"}}\n'
        f'runtimes = [{{format = "{name}"}}]\ndevices = [{{transport = "local"}}]\n'
        'gates = [{metric = "parity", limit = "1e-3"}]\n'
        'timing = {looks = [1], iterations = 5, warmup_iterations = 1, warmup = "0.01 s"}\n'
    )
    command = [sys.executable, "-m", "edgebuild", "build", "--target", "board", "--project", str(project)]
    environment = os.environ | {"EDGEBUILD_STORE": str(store)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return project / "dist" / "board" / "digits" / str(FORMATS.get(name).file)


def _peer(peer: str, here: bool, model: Path, examples: Path, folder: Path) -> Made:
    """The peer's int8 file; the time is that of its whole process, the second one, when its files are in memory.

    It runs in its own environment, or, when `here`, in ours, and once: that is no measurement.
    """
    for attempt in ("first",) if here else ("first", "second"):
        output = folder / f"{peer}-{attempt}" / model.name
        started = time.monotonic()
        quantize(peer, model, examples, output, here=here)
    return Made(peer, output, time.monotonic() - started)


def _measured(
    board: Target, made: Sequence[Made], test: Any, folder: Path, layouts: Layouts, timing: Timing
) -> list[dict[str, Any]]:
    inputs, _ = test
    folder.mkdir()
    hits = [_hits(each.file, test, folder / f"outputs-{number}", layouts) for number, each in enumerate(made)]
    write_inputs(folder / "inputs.npz", (inputs[:64],))
    models = [JobModel(f"m{number}", each.file, layouts=layouts) for number, each in enumerate(made)]
    times = latency.measure(Local(), models, folder / "inputs.npz", folder / "jobs", lambda _: False, timing)
    rows = []
    for number, each in enumerate(made):
        pairs = paired.count_pairs(hits[number], hits[0])
        shift = ratio.hodges_lehmann(times.log_ratios(f"m{number}", "m0"))
        found = bench.run(each.file, board)
        assert found.counted is not None  # target() has made sure of the emulator
        rows.append(
            {
                "name": each.name,
                "accuracy": float(hits[number].mean()),
                "drop": 100 * paired.drop_bound(pairs.lost, pairs.won, pairs.n).high if number else None,
                "bytes": each.file.stat().st_size,
                **_times(shift, first=number == 0),
                "instructions": found.counted.instructions,
                "ms": 1e3 * found.seconds,
                "seconds": each.seconds,
            }
        )
    return rows


def _times(shift: ratio.Shift, *, first: bool) -> dict[str, float | None]:
    named = {"times": shift.estimate, "times_low": shift.low, "times_high": shift.high}
    return {name: None if first else math.exp(value) for name, value in named.items()}


def _hits(file: Path, test: Any, folder: Path, layouts: Layouts) -> Any:
    """Which examples the file gets right, by the real runtime here."""
    import numpy as np

    inputs, labels = test
    folder.mkdir()
    outputs.run(Local(), JobModel("model", file, layouts=layouts), (inputs,), folder, timeout=600)
    with np.load(folder / "model.outputs.npz") as stored:
        found: Any = stored["0"].argmax(1) == labels
    return found


def _best(ours: dict[str, Any], peers: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Our last row's bytes and predicted time as shares of the best peer's."""
    return {key: f"{ours[key] / min(row[key] for row in peers):.2f}" for key in ("bytes", "ms")}
