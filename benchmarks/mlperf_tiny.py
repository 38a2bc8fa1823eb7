"""MLPerf Tiny's reference models, as its TFLite files come: time, memory and time by operator on a Pi 4 and a Pi 5.

`EDGEBUILD_MLPERF_TINY` names a folder with the files that mlcommons/tiny has in `benchmark/training/*/trained_models`.
A short run takes a file that is made here instead.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._project import target
from benchmarks._tables import Table
from benchmarks.mobilenets import build
from edgebuild.devices.timing.layers import Layer
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target
from edgebuild.steps.evidence import _packing
from edgebuild.verbs import bench

FOLDER = "EDGEBUILD_MLPERF_TINY"
BOARDS = ("rpi4", "rpi5")
_SLOWEST = 3
_COLUMNS = {
    "model": ("model", ""),
    "numbers": ("numbers", ""),
    "kib": ("file, KiB", ".0f"),
    "arena": ("activations, KiB", ".1f"),
    "macs": ("multiply-accumulates, M", ".2f"),
    "instructions": ("instructions on rpi4, M", ".2f"),
    "rpi4": ("rpi4, ms", ".3f"),
    "rpi4_band": ("±", ".0%"),
    "rpi5": ("rpi5, ms", ".3f"),
    "rpi5_band": ("±", ".0%"),
}
_LAYERS = {
    "model": ("model", ""),
    "numbers": ("numbers", ""),
    "target": ("target", ""),
    "layer": ("operator", ""),
    "output": ("output", ""),
    "us": ("µs", ".1f"),
    "share": ("share of the whole", ".1%"),
}


@dataclass(frozen=True, slots=True)
class Tiny:
    """A file of the suite: the task of its model, and how it stores numbers."""

    task: str
    numbers: str
    file: str


MODELS = (
    Tiny("keyword spotting", "float", "kws_ref_model_float32.tflite"),
    Tiny("keyword spotting", "int8", "kws_ref_model.tflite"),
    Tiny("visual wake words", "float", "vww_96_float.tflite"),
    Tiny("visual wake words", "int8", "vww_96_int8.tflite"),
    Tiny("image classification", "float", "pretrainedResnet.tflite"),
    Tiny("image classification", "int8", "pretrainedResnet_quant.tflite"),
    Tiny("anomaly detection", "float", "ad01_fp32.tflite"),
    Tiny("anomaly detection", "int8", "ad01_int8.tflite"),
    Tiny("streaming wake word", "int8", "str_ww_ref_model.tflite"),
)


def run(*, small: bool) -> list[Table]:
    """Every file on both boards, one thread; `small`: one on one, made here where the folder is not named."""
    boards = [target(name) for name in BOARDS[: 1 if small else None]]
    with tempfile.TemporaryDirectory() as folder:
        files = dict(_one(Path(folder)) if small and FOLDER not in os.environ else _named(small))
        found = {model: _measured(file, boards) for model, file in files.items()}
        rows = [_row(model, files[model], benches) for model, benches in found.items()]
    layers = [row for model, benches in found.items() for one in benches for row in _slowest(model, one)]
    inside = [sum(layer.share for layer in one.layers or ()) for benches in found.values() for one in benches]
    figures = {"files": str(len(rows)), "least_inside": f"{min(inside):.0%}", "most_inside": f"{max(inside):.0%}"}
    figures |= _quoted(rows)
    notes = [f"One thread, LiteRT. Activations: a static plan of the file's tensors, without weights. {_digests(rows)}"]
    told = [
        "Operators as LiteRT executes them (XNNPACK's, where it computes). The rest is other operators and "
        "what is no operator's: the runtime, and copying inputs and outputs."
    ]
    return [
        Table("Time and memory", _COLUMNS, rows, notes, figures),
        Table(f"The {_SLOWEST} slowest operators", _LAYERS, layers, told),
    ]


def _named(small: bool) -> Iterator[tuple[Tiny, Path]]:
    if FOLDER not in os.environ:
        raise UsageError("names no folder with MLPerf Tiny's TFLite files", key=FOLDER)
    for model in MODELS[: 1 if small else None]:
        file = Path(os.environ[FOLDER]) / model.file
        if not file.is_file():
            raise UsageError("no such file", file=str(file))
        yield model, file


def _one(folder: Path) -> Iterator[tuple[Tiny, Path]]:
    file = build(folder, "tiny", "tflite")[0]
    yield Tiny(file.title, file.numbers, file.path.name), file.path


def _measured(file: Path, boards: Sequence[Target]) -> list[bench.Bench]:
    print(f"measuring {file.name}", file=sys.stderr, flush=True)
    return [bench.run(file, board) for board in boards]


def _row(model: Tiny, file: Path, benches: Sequence[bench.Bench]) -> dict[str, Any]:
    kind, content = FORMATS.get("tflite")(), file.read_bytes()
    counted = benches[0].counted
    assert counted is not None  # both boards are emulated
    row: dict[str, Any] = {name: None for board in BOARDS for name in (board, f"{board}_band")}
    for one in benches:
        assert one.band is not None
        row |= {one.target: one.seconds * 1e3, f"{one.target}_band": one.band.error}
    return row | {
        "model": model.task,
        "numbers": model.numbers,
        "file": file.name,
        "kib": len(content) / 1024,
        "arena": _packing.planned(kind.lifetimes(content)) / 1024,
        "macs": sum(each.macs for each in kind.work(content)) / 1e6,
        "instructions": counted.instructions / 1e6,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _slowest(model: Tiny, one: bench.Bench) -> Iterator[dict[str, Any]]:
    for layer in (one.layers or ())[:_SLOWEST]:
        yield {
            "model": model.task,
            "numbers": model.numbers,
            "target": one.target,
            "layer": f"{layer.op} ({_place(layer)})",
            "output": "×".join(map(str, layer.output or ())),
            "us": layer.median_us,
            "share": layer.share,
        }


def _place(layer: Layer) -> str:
    return f"operator {layer.position + 1}"


def _quoted(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fastest and the slowest file on the last board that was measured."""
    board = next(board for board in reversed(BOARDS) if all(row[board] for row in rows))
    times = sorted(row[board] for row in rows)
    return {"fastest": f"{times[0]:.2g} ms", "slowest": f"{times[-1]:.2g} ms"}


def _digests(rows: Sequence[Mapping[str, Any]]) -> str:
    named = (f"{row['file']} {row['sha256'][:12]}" for row in rows)
    return f"SHA-256: {', '.join(named)}."
