"""Techniques and ratios on the digits model: accuracy, bytes, work, and which technique beats which.

Stopped and started again it goes on where it was: results are kept in the project's store.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _project
from benchmarks._digits import FORMAT, TRAINING, Digits, Variant
from benchmarks._tables import Table
from edgebuild.devices.local import Local
from edgebuild.engine.graph import Node
from edgebuild.engine.store import Store
from edgebuild.gates.statistics import paired
from edgebuild.plan.instruments import Instruments
from edgebuild.spec import dataset, evidence
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.evidence import Counted, Footprint
from edgebuild.spec.model import Training
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Head
from edgebuild.spec.target import Runtime, Timing
from edgebuild.steps.evidence._outputs import hits as hits_of
from edgebuild.steps.evidence._outputs import read
from edgebuild.steps.evidence.count import Count
from edgebuild.steps.evidence.stage_times import StageTimes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebuild.spec.rows import Array, Mask

SEEDS = (0, 1, 2)
EPOCHS = 3  # of fine-tuning, in all rounds together
_RATE = {"learning_rate": 0.05}
_PLAIN = ("distill", {"alpha": 1.0, "epochs": EPOCHS, **_RATE})
_TAUGHT = ("distill", {"epochs": EPOCHS, **_RATE})
_TIMING = Timing(looks=(6,), iterations=60, warmup_iterations=10, warmup=0.1)


def _right(folder: Path, labels: Array) -> Mask:
    """Which examples [N] the outputs in a folder get right."""
    return hits_of(Head("output", "classification"), read(folder), labels)


def _schedule(kind: str) -> dict[str, Any]:
    rounds = 1 if kind == "one-shot" else EPOCHS
    return {"schedule": {"kind": kind, "rounds": rounds, "epochs": EPOCHS // rounds, **_RATE}}


def _channels(ratio: float, *after: Any, **options: Any) -> tuple[Any, ...]:
    return (("prune_channels", {"ratio": ratio, **options}), *after)


def _weights(ratio: float, **options: Any) -> tuple[Any, ...]:
    return (("prune_weights", {"ratio": ratio, **options}),)


# What is said to be better, than what, and both recipes: same size, same number of passes over the data.
Duel = tuple[str, str, tuple[Any, ...], tuple[Any, ...]]
DUELS: tuple[Duel, ...] = (
    ("magnitude", "random: 50 % of weights, as pruned", _weights(0.5), _weights(0.5, criterion="random")),
    ("magnitude", "random: 25 % of channels, as pruned", _channels(0.25), _channels(0.25, criterion="random")),
    ("magnitude", "random: 75 % of channels, fine-tuned on labels",
     _channels(0.75, _PLAIN), _channels(0.75, _PLAIN, criterion="random")),
    ("iterative", "one-shot: 75 % of channels",
     _channels(0.75, **_schedule("iterative")), _channels(0.75, **_schedule("one-shot"))),
    ("cubic", "one-shot: 75 % of channels",
     _channels(0.75, **_schedule("cubic")), _channels(0.75, **_schedule("one-shot"))),
    ("iterative", f"one-shot: 75 % of channels, {EPOCHS} more epochs behind both",
     _channels(0.75, _TAUGHT, **_schedule("iterative")), _channels(0.75, _TAUGHT, **_schedule("one-shot"))),
    ("distilled", "fine-tuned on labels: 75 % of channels", _channels(0.75, _TAUGHT), _channels(0.75, _PLAIN)),
    ("iterative", "one-shot: 97 % of weights",
     _weights(0.97, **_schedule("iterative")), _weights(0.97, **_schedule("one-shot"))),
    ("iterative", f"one-shot: 97 % of weights, {EPOCHS} more epochs behind both",
     (*_weights(0.97, **_schedule("iterative")), _TAUGHT), (*_weights(0.97, **_schedule("one-shot")), _TAUGHT)),
)  # fmt: skip

_HALF = _channels(0.5, _TAUGHT)
VARIANTS = (
    Variant("float", "", ()),
    Variant("float16", "", (("float16", {}),)),
    Variant("int8", "static", (("int8", {}),)),
    Variant("dynamic_int8", "", (("dynamic_int8", {}),)),
    Variant("weights_only", "int8", (("weights_only", {}),)),
    Variant("codebook + encode", "5 bits", (("codebook", {}), ("encode", {}))),
    *(Variant("prune_weights + encode", f"{ratio * 100:.0f} %", (*_weights(ratio), ("encode", {})))
      for ratio in (0.5, 0.8)),
    *(Variant(f"prune_weights {kind} + encode", "97 %", (*_weights(0.97, **_schedule(kind)), ("encode", {})))
      for kind in ("one-shot", "iterative")),
    Variant("prune_channels + distill", "25 %", _channels(0.25, _TAUGHT)),
    Variant("prune_channels + distill", "50 %", _HALF),
    *(Variant(f"prune_channels ({criterion}) + labels", "75 %", _channels(0.75, _PLAIN, criterion=criterion))
      for criterion in ("magnitude", "random", "taylor", "apoz", "batch_norm")),
    *(Variant(f"prune_channels + distill ({goal})", "75 %",
              _channels(0.75, ("distill", {"goal": goal, "epochs": EPOCHS, **_RATE})))
      for goal in ("soft", "logits", "pseudo_labels")),
    Variant("prune_channels + distill + int8", "50 %", (*_HALF, ("int8", {}))),
)  # fmt: skip


def run(*, small: bool) -> list[Table]:
    """Both tables; `small`: one pair and two rows of them, of a small model."""
    if not small:
        return _tables(open_project(_project.ROOT), TRAINING, DUELS, VARIANTS, SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        project = _project.digits(Path(folder), small=True)
        return _tables(project, Training(epochs=1), DUELS[:1], VARIANTS[:3], SEEDS[:1])


def _tables(
    project: Project, training: Training, duels: Sequence[Duel], variants: Sequence[Variant], seeds: Sequence[int]
) -> list[Table]:
    with closing(Store(project.store)) as store:
        first, second = (Digits(project, store, training) for _ in range(2))
        return [_duels(first, duels, seeds), _table(second, variants)]


def _duels(digits: Digits, duels: Sequence[Duel], seeds: Sequence[int]) -> Table:
    """Better against worse on the same examples, over all seeds."""
    pairs = [
        [tuple(digits.answers(digits.torch(Variant(name, "", lines, seed))) for lines in (better, worse))
         for seed in seeds]
        for name, _, better, worse in duels
    ]  # fmt: skip
    digits.bring_up(2)
    labels = dataset.read(digits.folder(digits.weights.data), "test").labels[0]
    rows = []
    for (better, worse, *_), of_seeds in zip(duels, pairs, strict=True):
        hits = [(_right(digits.folder(one), labels), _right(digits.folder(other), labels)) for one, other in of_seeds]
        rows.append({"better": better, "worse": worse, "n": len(labels), **compared(hits)})
    columns = {
        "better": ("is", ""), "worse": ("better than", ""), "first": ("accuracy", ".2%"), "second": ("against", ".2%"),
        "gain": ("gain", "+.2%"), "low": ("from", "+.2%"), "high": ("to", "+.2%"), "wins": ("seeds won", "d"),
        "holds": ("holds", ""),
    }  # fmt: skip
    notes = [
        f"Means over seeds {tuple(seeds)}, {len(labels):,} held-out examples, torch models; the float model has one "
        "seed.",
        "Gain: mean difference on the same examples, two-sided 95 % interval (Student's t over examples, whose"
        " differences are means over the seeds): it tells of other examples, the seeds won tell of other seeds.",
        "It holds where the interval is above zero and every seed is won.",
        f"Float model: {digits.training.epochs} epochs. Fine-tuning: {EPOCHS} epochs on both sides of every "
        "comparison.",
    ]
    return Table("What is better than what", columns, rows, notes)


def compared(seeds: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> dict[str, Any]:
    """How much more often the first is right than the second; hits (n,) of both for each seed."""
    import numpy as np

    first, second = (np.stack([pair[side] for pair in seeds]).astype(float) for side in (0, 1))
    bound = paired.mean_bound((first - second).mean(0), 0.975)
    wins = int((first.mean(1) > second.mean(1)).sum())
    figures = {"first": float(first.mean()), "second": float(second.mean()), "gain": bound.estimate}
    return figures | {"low": bound.low, "high": bound.high, "wins": wins, "holds": bound.low > 0 and wins == len(seeds)}


def _table(digits: Digits, variants: Sequence[Variant]) -> Table:
    """Every variant with its file."""
    counted, device = _counter()
    plans = []
    for variant in variants:
        file = digits.file(variant)
        count = digits.graph.add("digits/count", replace(counted, inputs={"model": file, "data": digits.weights.data}))
        plans.append((file, digits.answers(file), digits.weighed(variant), count))
    times = digits.graph.add("digits/times", _timed(digits, [file for file, *_ in plans]))
    digits.bring_up(2)
    labels = dataset.read(digits.folder(digits.weights.data), "test").labels[0]
    timed = digits.evidence(evidence.StageTimes, times)
    base = _right(digits.folder(plans[0][1]), labels)
    rows = []
    for number, (variant, (file, answers, weighed, count)) in enumerate(zip(variants, plans, strict=True)):
        hits = _right(digits.folder(answers), labels)
        pairs = paired.count_pairs(hits, base)
        drop = paired.drop_interval(pairs.lost, pairs.won, pairs.n)
        sizes = digits.evidence(Footprint, weighed).candidate
        coded = sizes.download < sizes.bytes
        packed = zlib.compress((digits.folder(file) / FORMATS.get(FORMAT).file).read_bytes(), 9)
        rows.append({
            "technique": variant.technique, "setting": variant.setting, "accuracy": float(hits.mean()),
            "change": 0 - drop.estimate, "low": -drop.high, "high": -drop.low, "bytes": sizes.bytes,
            "compressed": sizes.download if coded else len(packed), "macs": sizes.macs,
            "instructions": digits.evidence(Counted, count).instructions,
            "ratio": timed.seconds[number] / timed.seconds[0],
        })  # fmt: skip
    columns = {
        "technique": ("technique", ""), "setting": ("setting", ""), "accuracy": ("accuracy", ".2%"),
        "change": ("change", "+.2%"), "low": ("from", "+.2%"), "high": ("to", "+.2%"), "bytes": ("bytes", ",d"),
        "compressed": ("compressed", ",d"), "macs": ("MACs", ",d"), "instructions": ("instructions", ",d"),
        "ratio": ("host time / float", ".2f"),
    }  # fmt: skip
    notes = [
        f"TFLite files, seed 0, {len(labels):,} held-out examples on this machine. Change against float: Tango's paired"
        " interval, two-sided 95 %.",
        "Compressed: the coded download where the recipe has `encode`, else zlib.",
        f"Instructions: one inference, counted on {device}. MACs: of the torch model, zeros included.",
        f"Host: {Local().fingerprint()['cpu']}, one thread, all files interleaved, median of {_TIMING.looks[-1]}"
        " processes" + (", disturbed while measuring." if timed.void else "."),
    ]
    return Table("Technique and ratio", columns, rows, notes)


def _counter() -> tuple[Node, str]:
    """A node that counts the work of a file on the emulated Pi, still without inputs, and the device's name."""
    target = open_project(_project.ROOT).target("rpi4")
    instrument = Instruments(target).best("latency")
    core = target.hardware.core
    if core is None or core.time is None:
        raise DeviceError("rpi4 has no model of its time")
    step = Count(instrument.device, core.time.mcpu)
    tools = (FORMATS.get(FORMAT).runtime,)
    node = Node(step, {}, "evidence", code=instrument.code(FORMAT), tools=tools, facts=instrument.fingerprint)
    return node, str(instrument.fingerprint["cpu"])


def _timed(digits: Digits, files: Sequence[str]) -> Node:
    inputs = {f"file/{number}": file for number, file in enumerate(files)} | {"data": digits.weights.data}
    step = StageTimes(Local(), "host", Runtime(FORMAT), _TIMING)
    return Node(step, inputs, "evidence", tools=(FORMATS.get(FORMAT).runtime,), facts=Local().fingerprint())
