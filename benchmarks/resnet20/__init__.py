"""ResNet-20 on CIFAR-10: accuracy against counted time, our budget of time beside uniform ratios and Torch-Pruning.

The data are not ours to pass on: `EDGEBUILD_CIFAR10` names a folder with `resnet20.pth` (akamaster's
pytorch_resnet_cifar10, BSD-2) and `train15k.npz` and `test10k.npz`, arrays `x` uint8 [N, 32, 32, 3] and `y`, of
CIFAR-10's first 15,000 training and 10,000 test pictures. What layers take and what each pruned network has learnt is
kept beside the peers' environments, so that a run that was stopped goes on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import _learning
from benchmarks._learning import ALPHA, HEADS, TEMPERATURE, answers, counted, distil
from benchmarks._project import target
from benchmarks._tables import Table
from benchmarks.peers import _environments
from edgebuild.devices.qemu import Qemu
from edgebuild.nn.prune import channels, importance, sensitivity, shares, time_budget, units
from edgebuild.nn.prune.work import layer_work
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split
from edgebuild.steps.evidence.layer_times import LayerTimes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.channels import Inventory
    from edgebuild.nn.prune.time_budget import Clock

DATA = "EDGEBUILD_CIFAR10"
SHARES = (0.7, 0.5, 0.3)
FORMAT, MULTIPLE = "tflite", 8
LEARNT, SCANNED = 10_000, 512
TRAINING = Training(epochs=1, batch_size=64, learning_rate=0.02, weight_decay=5e-4)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TORCH_PRUNING = Path(__file__).resolve().parent.parent / "structured_pruning" / "torch_pruning"
_COLUMNS = {
    "share": ("time asked", ".0%"),
    "side": ("chosen by", ""),
    "accuracy": ("accuracy", ".2%"),
    "raw": ("before distillation", ".1%"),
    "microseconds": ("counted, µs", ",.0f"),
    "left": ("of the whole", ".1%"),
    "macs": ("MACs", ",d"),
    "widths": ("widths inside blocks", ""),
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Training, scanned and held-out examples, and the file of the weights; None where all is drawn."""

    train: Split
    scanned: Split
    test: Split
    weights: Path | None


@dataclass(frozen=True, slots=True)
class Small:
    """A pruned network, for which share of the time and by whom."""

    share: float
    side: str
    net: nn.Module
    raw: float


def run(*, small: bool) -> list[Table]:
    """A table; `small`: drawn pictures and weights, one budget by operations, nothing beside it and nothing counted."""
    from benchmarks.resnet20.network import trained

    data = drawn() if small else pictures()
    net = trained(data.weights)
    example = _example()
    stock = channels.inventory(net, example, (), MULTIPLE)
    with tempfile.TemporaryDirectory() as folder:
        curves = {} if small else {FORMAT: _curves(net, Path(folder))}
        clock = time_budget.clock(net, example, _able(stock), curves)
        nets = [*_nets(net, stock, clock, data, Path(folder), SHARES[1:2] if small else SHARES, alone=small)]
        whole = Small(1.0, "nobody", net, _accuracy(net, data.scanned))
        taught = answers(net, data.train)
        for each in nets:
            _tell(f"{each.side} at {each.share:.0%}")
            _learnt(each, taught, data)
        every = [whole, *nets]
        seconds = (
            [None] * len(every)
            if small
            else counted([each.net for each in every], example, Path(folder) / "files", FORMAT)
        )
    return [Table("Accuracy against counted time on rpi4", _COLUMNS, _rows(every, seconds, data.test), _notes(data))]


def _rows(every: Sequence[Small], seconds: Sequence[float | None], test: Split) -> list[dict[str, Any]]:
    return [
        {
            "share": each.share,
            "side": each.side,
            "accuracy": _accuracy(each.net, test),
            "raw": each.raw,
            "microseconds": taken and 1e6 * taken,
            "left": taken and taken / (seconds[0] or taken),
            "macs": sum(one.shape.macs for one in layer_work(each.net, _example())),
            "widths": _widths(each.net),
        }
        for each, taken in zip(every, seconds, strict=True)
    ]


def _notes(data: Pictures) -> list[str]:
    return [
        f"float TFLite, one thread; public weights; each pruned network learns for {TRAINING.epochs} epoch on "
        f"{len(data.train):,} training pictures without augmentation, from labels ({ALPHA:.0%}) and from the whole "
        f"network's answers at temperature {TEMPERATURE:g}, the same for all sides: short, so that the choice counts. "
        f"{len(data.test):,} held-out pictures: a standard error of about 0.3 pp; one seed.",
        f"budget of time: `prune_channels` with `budget = {{ time = … }}`, the layers' time counted at multiples of "
        f"{MULTIPLE}, harm from {len(data.scanned)} other training pictures. uniform: the least ratio of all groups, "
        "in the same multiples, that takes no more of the layers' counted time.",
        "Torch-Pruning: its group magnitudes with the ratio that leaves as many MACs as the budget of time does; what "
        "shortcut A joins it cannot follow, and is left alone by name. Widths are those of the first convolution of "
        "the nine blocks.",
        f"Before distillation: on the {len(data.scanned)} pictures of the scan. Time asked is of the layers alone; of "
        "the whole: of the counted time of the whole file.",
    ]


def _nets(
    net: nn.Module,
    stock: Inventory,
    clock: Clock,
    data: Pictures,
    folder: Path,
    wanted: Sequence[float],
    *,
    alone: bool,
) -> Sequence[Small]:
    able = _able(stock)
    subject = importance.Subject(net, lambda: data.scanned, _no_loss, norm=2, seed=0)
    scores = units.scored(able, importance.criterion("magnitude", subject))

    def cut(ratios: Mapping[str, float]) -> nn.Module:
        pruned = copy.deepcopy(net)
        stock.remove(pruned, units.least(able, scores, _stay(able, ratios)))
        return pruned.eval()

    def trial(ratios: Mapping[str, float]) -> sensitivity.Quality:
        return sensitivity.measure(cut(ratios), data.scanned, HEADS)

    found: list[Small] = []
    harm = time_budget.scanned(able, trial, lambda _, note: _tell(note))
    for share in wanted:
        scan = time_budget.chosen(able, time_budget.TimeBudget(share), clock, harm)
        sides = {"budget of time": cut(scan["ratios"])}
        if not alone:
            sides["uniform ratio"] = cut(_uniform(able, clock, share))
            macs = sum(one.shape.macs for one in layer_work(sides["budget of time"], _example()))
            sides["Torch-Pruning"] = _peer(data.weights, macs, folder)
        found += [Small(share, side, made, _accuracy(made, data.scanned)) for side, made in sides.items()]
    return found


def _able(stock: Inventory) -> list[units.Units]:
    return [one for one in stock.units if not one.fixed]


def _stay(able: Sequence[units.Units], ratios: Mapping[str, float]) -> dict[str, int]:
    of = {one.name: len(one.members) for one in able}
    return shares.rounded(able, shares.shares(able, dict.fromkeys(of, 0.0) | dict(ratios), of))


def _uniform(able: Sequence[units.Units], clock: Clock, share: float) -> dict[str, float]:
    """The least ratio, in hundredths, that leaves no more than this share of the time."""
    every = [dict.fromkeys((one.name for one in able), percent / 100) for percent in range(1, 96)]
    return next((ratios for ratios in every if clock.together.share(_stay(able, ratios)) <= share), every[-1])


def _peer(weights: Path | None, macs: int, folder: Path) -> nn.Module:
    """What Torch-Pruning leaves, in its own environment."""
    import torch

    from benchmarks.resnet20.network import narrowed

    script, output = Path(__file__).parent / "torch_pruning_side.py", folder / f"{macs}.pth"
    command = [str(_environments.python(_TORCH_PRUNING)), str(script), str(weights or "-"), str(macs), str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return narrowed(torch.load(output, weights_only=True))


def _curves(net: nn.Module, folder: Path) -> evidence.WidthCurves:
    """The time of every layer by width, by the product's own step."""
    board = target("rpi4")
    core = board.hardware.core
    assert core is not None
    assert core.time is not None
    places = {name: folder / name for name in ("shapes", "times", "scratch")}
    for place in places.values():
        place.mkdir()
    shapes = tuple(sorted({one.shape for one in layer_work(net, _example())}))
    documents.write(places["shapes"] / evidence.FILE, evidence.LayerShapes(shapes))
    device = Qemu().attach(board.hardware)
    step = LayerTimes(FORMAT, device, core.time, board.hardware.core_clock, 1, MULTIPLE)
    inputs = {"shapes": Input("evidence", "", places["shapes"])}
    counted_by = (FORMAT, device.fingerprint(), core, board.hardware.core_clock, version("litert-torch"), MULTIPLE)
    digest = hashlib.sha256(repr(counted_by).encode()).hexdigest()
    kept = _environments.cache() / f"layer_times-{digest[:12]}"
    step.run(StepIO(inputs, places["times"], places["scratch"], _progress, kept=kept))
    return documents.read(evidence.WidthCurves, places["times"] / evidence.FILE)


def _learnt(small: Small, taught: Any, data: Pictures) -> None:
    """Teach a pruned network in place, or take what an earlier run of the same code has taught it."""
    import torch

    from edgebuild.nn import train

    if data.weights is None:
        distil(small.net, taught, data.train, TRAINING)
        return
    files = [Path(__file__), Path(_learning.__file__), *sorted(Path(str(train.__file__)).parent.glob("*.py"))]
    held = json.dumps([{k: v.double().sum().item() for k, v in small.net.state_dict().items()}, len(taught)])
    name = hashlib.sha256(b"".join([held.encode(), *(file.read_bytes() for file in files)])).hexdigest()
    kept = _environments.cache() / "resnet20" / f"{name}.pth"
    if not kept.is_file():
        distil(small.net, taught, data.train, TRAINING)
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(small.net.state_dict(), kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    small.net.load_state_dict(torch.load(kept, weights_only=True))


def _accuracy(net: nn.Module, test: Split) -> float:
    return sensitivity.measure(net.eval(), test, HEADS).accuracy


def _widths(net: Any) -> str:
    from benchmarks.resnet20.network import inner

    return " ".join(str(block.conv1.out_channels) for block in inner(net))


def _example() -> tuple[Tensor, ...]:
    import torch

    return (torch.zeros(1, 3, 32, 32),)


def pictures() -> Pictures:
    """UsageError where nobody says where they are."""
    place = os.environ.get(DATA)
    if not place or not (Path(place) / "resnet20.pth").is_file():
        raise UsageError(f"{DATA} names no folder with resnet20.pth", hint="see the first lines of benchmarks/resnet20")
    train, test = (_split(Path(place) / name) for name in ("train15k.npz", "test10k.npz"))
    rows = np.arange(LEARNT), np.arange(LEARNT, LEARNT + SCANNED)
    return Pictures(train.take(rows[0]), train.take(rows[1]), test, Path(place) / "resnet20.pth")


def _split(file: Path) -> Split:
    with np.load(file) as held:
        pixels = (held["x"].astype(np.float32) / 255 - np.asarray(_MEAN, np.float32)) / np.asarray(_STD, np.float32)
        return Split((np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)),), (held["y"].astype(np.int64),))


def drawn() -> Pictures:
    """A few pictures of noise."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((8, 3, 32, 32), dtype=np.float32)
    split = Split((x,), (draw.integers(0, 10, 8),))
    return Pictures(split, split, split, None)


def _no_loss() -> Any:
    raise AssertionError("magnitude needs no loss")


def _tell(note: str) -> None:
    print(f"resnet20: {note}", file=sys.stderr, flush=True)


def _progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
    _tell(note)
