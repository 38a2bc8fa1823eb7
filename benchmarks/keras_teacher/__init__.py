"""A Keras MobileNet on digits, end to end for the emulated Pi, and as the teacher of a smaller network.

Keras trains its network here, briefly, on the 3,000 MNIST digits that `models/digits` learns from; the product builds,
teaches and judges on its 2,000 others. The student is built twice, taught for as long each time: by labels alone, and
by labels and the Keras file.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _project
from benchmarks._tables import Table
from benchmarks.keras_teacher import network
from benchmarks.peers import _environments
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.gates.statistics import paired
from edgebuild.report import progress
from edgebuild.spec import dataset
from edgebuild.spec.evidence import ONLY, Judged, known
from edgebuild.spec.project import Project, open_project
from edgebuild.travels import prepare_image
from edgebuild.verbs.build import Outcome, build
from edgebuild.verbs.request import Request

HERE = Path(__file__).resolve().parent
TARGET = "rpi4"
EPOCHS = 60
BUILDS = (("mobilenet", "int8"), ("student", "labels"), ("student", "taught"))
_NAMES = {"mobilenet": "Keras MobileNet", "student": "student"}
_COLUMNS = {
    "model": ("model", ""),
    "recipe": ("recipe", ""),
    "format": ("format", ""),
    "float": ("float accuracy", ".2%"),
    "accuracy": ("int8 accuracy", ".2%"),
    "drop": ("drop below (95 %), pp", ".2f"),
    "float_bytes": ("float, bytes", ",d"),
    "bytes": ("int8, bytes", ",d"),
    "float_ms": ("float, ms on the Pi", ".3f"),
    "ms": ("int8, ms on the Pi", ".3f"),
    "share": ("of MobileNet's int8 time", ".2f"),
    "verdict": ("verdict", ""),
}

_SHORT = """
recipe = "taught"
gates = [{metric = "accuracy", limit = "1 pp"}]
"""


@dataclass(frozen=True, slots=True)
class Pictures:
    """uint8 [N, 28, 28] and classes of the splits, by name."""

    splits: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a model with a recipe, and which held-out pictures its shipped file gets right, by format."""

    model: str
    recipe: str
    outcome: Outcome
    hits: Mapping[str, Any]


def run(*, small: bool) -> list[Table]:
    """A row for each build and format; `small`: drawn pictures, two layers that teach, and nothing counted."""
    if not small:
        _project.target(TARGET)
    with tempfile.TemporaryDirectory(prefix="edgebuild-keras-") as name:
        project = lay_out(Path(name), drawn() if small else digits(), small=small)
        built = [_built(project, model, recipe) for model, recipe in (BUILDS[-1:] if small else BUILDS)]
    rows = [row for one in built for row in _rows(one)]
    for row in rows:
        row["share"] = row["ms"] / next(one["ms"] for one in rows if one["format"] == row["format"])
    gains = {} if small else {name: _gain(built[1], built[2], name) for name in built[2].hits}
    return [Table(f"Digits on {TARGET}", _COLUMNS, rows, _notes(gains), gains)]


def _notes(gains: Mapping[str, str]) -> list[str]:
    return [
        f"The Keras file: keras.applications.MobileNet, alpha {network.WIDTH:g}, {network.SIZE} x {network.SIZE}, "
        f"trained by Keras for {EPOCHS} epochs on 3,000 digits, shifted by up to 3 pixels. The student: four "
        "convolutions in PyTorch, trained on the same digits, then taught by labels alone (`labels`) or by labels and "
        "the Keras file (`taught`) for as long, without augmentation. One seed.",
        "2,000 held-out digits: all on this machine, 1,000 on the emulated Pi; the drop is one-sided, differences "
        "between host and device included. One thread; times have the band of the target's profile.",
        *(f"What the teacher is worth, {name}: {gain}, int8 files, paired, 95 %." for name, gain in gains.items()),
    ]


def lay_out(folder: Path, data: Pictures, *, small: bool) -> Project:
    """A project of the Keras file and of the student that it teaches, for the product's own target."""
    _arrays(folder / "pictures.npz", data)
    shutil.copytree(HERE / "models", folder / "models", ignore=shutil.ignore_patterns("__*"))
    shutil.copytree(HERE / "recipes", folder / "recipes")
    for model in _NAMES:
        place = folder / "models" / model / "mobilenet.keras"
        shutil.copyfile(_kept(data), place) if not small else _trained(place, data, 1, small=True)
    if small:
        _project.short_target(folder, TARGET, _SHORT)
        return open_project(folder)
    _project.with_target(folder, TARGET, examples=1000)
    return replace(open_project(folder), store=_environments.cache() / "store")


def digits() -> Pictures:
    """Those of `models/digits`, as pixels."""
    from edgebuild.nn.model_code import ModelCode

    splits = ModelCode(_project.ROOT / "models" / "digits", "models/digits").function("load", "data")()
    return Pictures({name: (np.rint(255 * x[:, 0]).astype(np.uint8), y) for name, (x, y) in splits.items()})


def drawn() -> Pictures:
    """A few pictures of noise."""
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20) % network.CLASSES
    return Pictures(dict.fromkeys(("train", "test"), (x, y)))


def _arrays(file: Path, data: Pictures) -> None:
    held = {f"{name}_{split}": v for split, pair in data.splits.items() for name, v in zip("xy", pair, strict=True)}
    np.savez(file, **held)


def _built(project: Project, model: str, recipe: str) -> Built:
    """The build's outcome, and which held-out pictures the shipped file of each format gets right."""
    with progress.display(sys.stderr) as events:
        (outcome,), _ = build(Request(project, (TARGET,), (model,), recipe=recipe), events, Limits())
    with closing(Store(project.store)) as store:
        hits = {name: _hits(store, model, name) for name in outcome.verdicts.formats}
    return Built(model, recipe, outcome, hits)


def _hits(store: Store, model: str, name: str) -> Any:
    labels = dataset.read(_project.made(store, f"{model}/data"), "test").labels[0]
    answers = _project.answers(store, f"{TARGET}/{model}/{name}/outputs-candidate")
    return answers.argmax(1) == np.asarray(labels)


def _rows(built: Built) -> Iterator[dict[str, Any]]:
    for name, judged in built.outcome.verdicts.formats.items():
        yield {
            "model": _NAMES[built.model],
            "recipe": built.recipe,
            "format": name,
            **_figures(judged),
            "share": None,
        }


def _figures(judged: Judged) -> dict[str, Any]:
    footprint, latency = known(judged.evidence.footprint), known(judged.evidence.latency)
    answers = known(judged.evidence.accuracy).heads[ONLY]
    accuracy = next(each for each in judged.verdicts if each.metric == "accuracy")
    stopped = [each.metric for each in judged.verdicts if each.status != "pass"]
    return {
        "float": answers.baseline.accuracy,
        "accuracy": answers.candidate.accuracy,
        "drop": None if accuracy.high is None else 100 * accuracy.high,
        "float_bytes": footprint.baseline.bytes,
        "bytes": footprint.candidate.bytes,
        "float_ms": 1e3 * latency.baseline_seconds[0],
        "ms": 1e3 * latency.candidate_seconds[0],
        "verdict": judged.status + (f": {', '.join(stopped)}" if stopped else ""),
    }


def _gain(labels: Built, taught: Built, name: str) -> str:
    """What the teacher is worth in one format: more right answers, with their paired interval."""
    pairs = paired.count_pairs(taught.hits[name], labels.hits[name])
    drop = paired.drop_interval(pairs.lost, pairs.won, pairs.n)
    return f"{-100 * drop.estimate:+.1f} pp ({-100 * drop.high:+.1f} to {-100 * drop.low:+.1f})"


def _kept(data: Pictures) -> Path:
    """The Keras file, beside the peers' environments; it is trained anew where its code or its pictures change."""
    content = Path(network.__file__).read_bytes() + data.splits["train"][0].tobytes() + bytes([EPOCHS])
    place = _environments.cache() / "keras_teacher" / f"{hashlib.sha256(content).hexdigest()[:12]}.keras"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        _trained(place, data, EPOCHS, small=False)
    return place


def _trained(file: Path, data: Pictures, epochs: int, *, small: bool) -> None:
    x, y = data.splits["train"]
    part = file.with_name(f"part-{file.name}")
    network.save(part, _prepared(x), y, epochs, small=small)
    part.replace(file)


def _prepared(pixels: Any) -> Any:
    """uint8 [N, 32, 32, 1], as the product's own preparation has them."""
    how = {"width": network.SIZE, "height": network.SIZE, "channels": 1, "crop": None}
    return np.stack([prepare_image.fit(one[..., None], how) for one in pixels])
