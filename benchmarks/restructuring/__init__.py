"""Restructuring: what low rank, fewer blocks and separable convolutions cost and save on two public networks.

ResNet-20 is that of the benchmark `resnet20`, which says where its data are from (`EDGEBUILD_CIFAR10`).
`EDGEBUILD_KWS` names a folder with MLPerf Tiny's keyword spotting: `reference_int8.tflite`, and `test.npz` with arrays
`x` [N, 49, 10, 1], `y` and `speaker` of Speech Commands v2's test split.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import resnet20
from benchmarks._learning import HEADS, answers, counted, distil
from benchmarks._tables import Table
from edgebuild.gates.statistics.paired import wilson
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import blocks, choice, decoupling, ranks, sites
from edgebuild.nn.restructure.times import Times
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Change = Callable[[nn.Module, Example, Split], nn.Module]

KWS = "EDGEBUILD_KWS"
FORMAT, MULTIPLE = "tflite", 8
LEARNT, SCANNED, HELD_OUT = 2_000, 128, 2_000
TRAINING = Training(epochs=2, batch_size=64, learning_rate=0.005, weight_decay=5e-4, clip=2.0)
_COLUMNS = {
    "network": ("network", ""),
    "step": ("step", ""),
    "macs": ("MACs", ",d"),
    "microseconds": ("counted, µs", ",.0f"),
    "left": ("of the whole", ".0%"),
    "raw": ("accuracy as changed", ".1%"),
    "accuracy": ("distilled", ".2%"),
    "low": ("from", ".2%"),
    "high": ("to", ".2%"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A network and its examples: those that are learnt from, that choices are made on, and that it is judged by."""

    name: str
    net: nn.Module
    example: Example
    train: Split
    scanned: Split
    test: Split


def run(*, small: bool) -> list[Table]:
    """A table; `small`: drawn weights and data, one change of one network, nothing counted."""
    subjects = [_resnet(small=small)] if small else [_resnet(small=False), _keywords()]
    changes = dict([*CHANGES.items()][-1:]) if small else CHANGES
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    for subject in subjects:
        rows += _rows(subject, changes, refused, count=not small)
    return [Table("What restructuring costs and saves on rpi4", _COLUMNS, rows, [*_notes(subjects), *refused])]


def _rows(subject: Subject, changes: dict[str, Change], refused: list[str], *, count: bool) -> list[dict[str, Any]]:
    made: dict[str, nn.Module] = {"(whole)": subject.net}
    for name, change in changes.items():
        try:
            made[name] = change(subject.net, subject.example, subject.scanned).eval()
        except UsageError as error:
            refused.append(f"{subject.name}, {name}: refused: {error.reason}")
    raw = {name: _accuracy(net, subject.scanned) for name, net in made.items()}
    taught = answers(subject.net, subject.train)
    for name, net in made.items():
        if net is not subject.net:
            _tell(f"{subject.name}: {name} learns")
            distil(net, taught, subject.train, TRAINING)
    _tell(f"{subject.name}: counting")
    with tempfile.TemporaryDirectory() as folder:
        seconds = counted([*made.values()], subject.example, Path(folder) / "files", FORMAT) if count else None
    return [_row(subject, name, net, raw[name], seconds, k) for k, (name, net) in enumerate(made.items())]


def _row(
    subject: Subject, name: str, net: nn.Module, raw: float, seconds: Sequence[float] | None, number: int
) -> dict[str, Any]:
    accuracy = _accuracy(net, subject.test)
    _, low, high = wilson(round(accuracy * len(subject.test)), len(subject.test))
    return {
        "network": subject.name,
        "step": name,
        "macs": sites.total(net, subject.example),
        "microseconds": seconds and 1e6 * seconds[number],
        "left": seconds and seconds[number] / seconds[0],
        "raw": raw,
        "accuracy": accuracy,
        "low": low,
        "high": high,
    }


def _notes(subjects: Sequence[Subject]) -> list[str]:
    sizes = "; ".join(f"{one.name} learns from {len(one.train):,}, judged by {len(one.test):,}" for one in subjects)
    return [
        f"float TFLite, one thread; public weights; each changed network learns for {TRAINING.epochs} epochs from the "
        f"whole one's answers, which is short ({sizes}); one seed; 95 % Wilson intervals.",
        f"as changed: on {SCANNED} examples of those that choices are made on; `round_to = {MULTIPLE}`.",
    ]


def low_rank(energy: float) -> Change:
    """`low_rank` at an energy."""

    def change(net: nn.Module, example: Example, _: Split) -> nn.Module:
        able = ranks.able(net, example)
        chosen = {name: ranks.by_energy(layer, energy, MULTIPLE) for name, (layer, _) in able.items()}
        counts = {name: ranks.macs(layer, chosen[name], places) for name, (layer, places) in able.items()}
        paying = {name: chosen[name] for name, (before, after) in counts.items() if after < before}
        if not paying:
            raise UsageError("no layer would take fewer multiplications")
        return ranks.split(net, paying)[0]

    return change


def fewer_blocks(count: int) -> Change:
    """`remove_blocks` of so many."""

    def change(net: nn.Module, example: Example, scanned: Split) -> nn.Module:
        from edgebuild.nn.train.batches import in_order

        found = blocks.residual(net, example)
        if not found:
            raise UsageError("the network has no residual block")
        agree = blocks.agreements(net, found, (inputs for inputs, _ in in_order(scanned, 64)))
        return blocks.without(net, sorted(found, key=lambda path: -agree[path].cosine)[:count])[0]

    return change


def separable(share: float) -> Change:
    """`separable` to a share of the multiplications."""

    def change(net: nn.Module, example: Example, scanned: Split) -> nn.Module:
        work = layer_work(net, example)
        clock = Times.of([one.shape for one in work], {})
        able = decoupling.exchanges(net, example, work, 1)
        if not able:
            raise UsageError("no convolution would take fewer multiplications")
        whole = sensitivity.measure(net, scanned, HEADS)
        tried = {name: decoupling.separated(net, [name], 1)[0] for name in able}
        harm = {name: sensitivity.measure(each, scanned, HEADS).loss - whole.loss for name, each in tried.items()}
        saved = {name: clock.saved(one) for name, one in able.items()}
        names = choice.for_share(saved, harm, 1.0, share)
        return decoupling.separated(net, names, 1)[0]

    return change


CHANGES: dict[str, Change] = {
    "low_rank, energy 0.8": low_rank(0.8),
    "separable, macs 0.5": separable(0.5),
    "remove_blocks, 1": fewer_blocks(1),
}


def _resnet(*, small: bool) -> Subject:
    import torch

    from benchmarks.resnet20.network import trained

    data = resnet20.drawn() if small else resnet20.pictures()
    train, scanned, test = data.train, data.scanned, data.test
    if not small:
        train, scanned = train.take(np.arange(LEARNT)), scanned.take(np.arange(SCANNED))
        test = test.take(np.arange(HELD_OUT))
    return Subject("ResNet-20", trained(data.weights), (torch.zeros(1, 3, 32, 32),), train, scanned, test)


def _keywords() -> Subject:
    """Half of the test split's speakers teach, the others judge: there is no training split beside it."""
    import torch

    from benchmarks.restructuring.kws import trained

    place = os.environ.get(KWS)
    if not place or not (Path(place) / "test.npz").is_file():
        raise UsageError(f"{KWS} names no folder with test.npz", hint="see the first lines of benchmarks/restructuring")
    with np.load(Path(place) / "test.npz") as held:
        x = np.ascontiguousarray(held["x"].transpose(0, 3, 1, 2).astype(np.float32))
        split, speakers = Split((x,), (held["y"].astype(np.int64),)), held["speaker"]
    own = np.isin(speakers, np.unique(speakers)[::2])
    teaching, judging = np.flatnonzero(own), np.flatnonzero(~own)
    train, scanned = split.take(teaching[SCANNED:]), split.take(teaching[:SCANNED])
    net = trained(Path(place) / "reference_int8.tflite")
    return Subject("DS-CNN (keywords)", net, (torch.zeros(1, 1, 49, 10),), train, scanned, split.take(judging))


def _accuracy(net: nn.Module, test: Split) -> float:
    return sensitivity.measure(net.eval(), test, HEADS).accuracy


def _tell(note: str) -> None:
    print(f"restructuring: {note}", file=sys.stderr, flush=True)
