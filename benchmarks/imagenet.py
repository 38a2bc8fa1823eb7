"""EfficientNet-Lite0 in int8 on ImageNet's pictures, beside what the runtimes' own quantizers make of the same file.

`EDGEBUILD_IMAGENET` names the folder of pictures that the model `imagenet` reads (docs/imagenet.md). All quantizers get
the same float file of a format and the same calibration pictures, and all files answer the same held-out pictures, each
by its own runtime on this machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _project
from benchmarks._tables import Table
from benchmarks.peers import _environments
from benchmarks.peers._quantizing import as_taken, quantize
from edgebuild.devices.jobs.job import write_inputs
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.gates.statistics import paired
from edgebuild.report import progress
from edgebuild.spec import dataset, model_file
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.travels import load_onnx, load_tflite
from edgebuild.verbs.build import build
from edgebuild.verbs.request import Request

if TYPE_CHECKING:
    from edgebuild.spec.rows import Stored

TARGET = "board"
LOADERS = {"onnx": load_onnx, "tflite": load_tflite}
_EXAMPLES = 256  # the most that `int8` calibrates on
_PROFILE = """
description = "This machine, which answers and is not timed"
recipe = [{use = "int8"}]
hardware = {arch = "x86_64", cpu = "x86-64"}
runtimes = [{format = "onnx"}, {format = "tflite"}]
devices = [{transport = "local"}]
gates = [{metric = "accuracy", limit = "1 pp"}]
timing = {looks = [1], iterations = 5, warmup_iterations = 1, warmup = "0.01 s"}
"""
_COLUMNS = {
    "format": ("format", ""),
    "tool": ("tool", ""),
    "bytes": ("bytes", ",d"),
    "right": ("right", ".2%"),
    "same": ("answers as float does", ".2%"),
    "lost": ("lost answers", "d"),
    "won": ("won answers", "d"),
    "drop": ("drop, pp", "+.2f"),
    "low": ("from", "+.2f"),
    "high": ("to", "+.2f"),
    "behind": ("behind ours, pp", "+.2f"),
    "behind_low": ("from", "+.2f"),
    "behind_high": ("to", "+.2f"),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A quantizer of files of a format, with its options."""

    format: str
    title: str
    name: str
    options: tuple[str, ...] = ()


PEERS = (
    Peer("onnx", "ONNX Runtime, per channel", "onnxruntime"),
    Peer("onnx", "ONNX Runtime, per tensor (its default)", "onnxruntime", ("per-tensor",)),
    Peer("tflite", "AI Edge Quantizer, static", "litert"),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A file, and the class that it chooses of every held-out picture."""

    title: str
    bytes: int
    choices: Any


def run(*, small: bool) -> list[Table]:
    """A row for each format and tool; `small`: a small model of digits, and peers in our own environment."""
    model = "digits" if small else "imagenet"
    with tempfile.TemporaryDirectory(prefix="edgebuild-imagenet-") as name:
        folder = Path(name)
        project = lay_out(folder / "project", small=small)
        with progress.display(sys.stderr) as events:
            build(Request(project, (TARGET,), (model,)), events, Limits())
        with closing(Store(project.store)) as store:
            data = _project.made(store, f"{model}/data")
            test = dataset.read(data, "test")
            answered = {
                kind: [*_ours(store, model, kind), *_peers(store, model, kind, folder / kind, small)]
                for kind in LOADERS
            }
            labels, calibrated = test.labels[0][:], len(dataset.calibration(data, _EXAMPLES, 0))
    rows = [row for kind, files in answered.items() for row in _rows(kind, files, labels)]
    return [Table("EfficientNet-Lite0", _COLUMNS, rows, _notes(len(labels), calibrated))]


def lay_out(folder: Path, *, small: bool) -> Project:
    """A project of the model, for a target that has both formats judged and nothing timed that anybody reads."""
    if small:
        folder.mkdir()
        project = _project.digits(folder, small=True)
    else:
        place = folder / "models" / "imagenet"
        shutil.copytree(_project.ROOT / "models" / "imagenet", place, ignore=shutil.ignore_patterns("__*"))
        project = replace(open_project(folder), store=_environments.cache() / "store")
    (folder / "targets").mkdir()
    (folder / "targets" / f"{TARGET}.toml").write_text(_PROFILE, encoding="utf-8")
    return project


def _ours(store: Store, model: str, kind: str) -> Iterator[Answered]:
    """The float file and ours, which the build has already had answer."""
    for title, step, outputs in (("float", "convert", "float"), ("edgebuild int8", "int8", "candidate")):
        file = _project.made(store, f"{TARGET}/{model}/{kind}/{step}") / FORMATS.get(kind).file
        answers = _project.answers(store, f"{TARGET}/{model}/{kind}/outputs-{outputs}")
        yield Answered(title, file.stat().st_size, answers.argmax(1))


def _peers(store: Store, model: str, kind: str, folder: Path, small: bool) -> Iterator[Answered]:
    float_file = _project.made(store, f"{TARGET}/{model}/{kind}/convert") / FORMATS.get(kind).file
    layouts, data = model_file.layouts(float_file), _project.made(store, f"{model}/data")
    folder.mkdir()
    examples = folder / "examples.npz"
    write_inputs(examples, (as_taken(dataset.calibration(data, _EXAMPLES, 0).inputs[0][:], layouts),))
    for number, peer in enumerate(peer for peer in PEERS if peer.format == kind):
        _tell(peer.title)
        output = folder / str(number) / float_file.name
        quantize(peer.name, float_file, examples, output, here=small, options=peer.options)
        choices = _choices(kind, output, layouts, dataset.read(data, "test"))
        yield Answered(peer.title, output.stat().st_size, choices)


def _choices(kind: str, file: Path, layouts: Mapping[str, Any], test: Stored) -> Any:
    """What a file chooses of all held-out pictures, in its runtime here, on one thread."""
    import numpy as np

    model = LOADERS[kind].Model(str(file), {"layouts": layouts})
    return np.array([int(model.answer(sample)[0].argmax()) for sample in test.singly()])


def _rows(kind: str, files: Sequence[Answered], labels: Any) -> Iterator[dict[str, Any]]:
    base, ours = (each.choices == labels for each in files[:2])
    for number, each in enumerate(files):
        hits = each.choices == labels
        pairs = paired.count_pairs(hits, base)
        yield {
            "format": kind,
            "tool": each.title,
            "bytes": each.bytes,
            "right": float(hits.mean()),
            "same": float((each.choices == files[0].choices).mean()),
            "lost": pairs.lost if number else None,
            "won": pairs.won if number else None,
            **_interval(("drop", "low", "high"), hits, base if number else None),
            **_interval(("behind", "behind_low", "behind_high"), hits, ours if number > 1 else None),
        }


def _interval(names: Sequence[str], hits: Any, other: Any) -> dict[str, float | None]:
    """Right answers that were lost against the other, in percentage points, with the paired 95 % interval."""
    if other is None:
        return dict.fromkeys(names)
    pairs = paired.count_pairs(hits, other)
    return dict(zip(names, (100 * each for each in paired.drop_interval(pairs.lost, pairs.won, pairs.n)), strict=True))


def _notes(judged: int, calibrated: int) -> list[str]:
    return [
        f"{judged:,} held-out pictures, {calibrated} others that all quantizers calibrate on, the same for all; one "
        "thread of this x86-64 machine. Intervals: Tango's, paired, two-sided 95 %. *Behind ours* is below 0 where the "
        "tool has more right answers than our int8 file.",
        "AI Edge Quantizer's file also takes integers where ours keeps a float input.",
    ]


def _tell(note: str) -> None:
    print(f"imagenet: {note}", file=sys.stderr, flush=True)
