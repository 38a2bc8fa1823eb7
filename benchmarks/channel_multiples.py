"""What a channel costs on the target's kernels, width by width: which `channel_multiple` a profile may have."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._project import target
from benchmarks._tables import Table
from edgebuild.devices.emulation import counted, sysroot
from edgebuild.devices.jobs import job
from edgebuild.devices.jobs.job import INPUTS, JobModel, write_inputs
from edgebuild.devices.qemu import COUNTS, Qemu
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from torch import nn

TARGET = "rpi4"
WIDTHS = (8, 10, 12, 14, 16)
KINDS = ("3×3", "1×1", "depthwise 3×3")
NUMBERS = ("float", "int8")
_SHALLOW, _DEEP = 1, 3  # their difference is the work of two layers alone, without borders and bookkeeping
_SIDE, _INPUTS, _CALIBRATION = 16, 8, 4
_TIMEOUT = 3600.0

Row = tuple[str, str, int]  # kind of layer, numbers, channels
Work = tuple[float, float]  # instructions, cycles


def run(*, small: bool) -> list[Table]:
    """A table a format: cycles of a layer at each width, and their share of those at 16; `small`: two files."""
    device = Qemu().attach(target(TARGET).hardware)
    formats, kinds, widths = (("tflite",), KINDS[1:2], WIDTHS[-1:]) if small else (("tflite", "onnx"), KINDS, WIDTHS)
    rows = [(layer, numbers, width) for layer in kinds for numbers in NUMBERS[: len(kinds)] for width in widths]
    return [table(kind, _measured(device, kind, rows)) for kind in formats]


def table(kind: str, cost: dict[Row, Work]) -> Table:
    """What each layer costs at each width."""
    widest = max(width for _, _, width in cost)
    between = sorted({width for _, _, width in cost if width % widest})
    columns = {"layer": ("layer", ""), "numbers": ("numbers", ""), "cycles": (f"cycles at {widest}", ",.0f")}
    columns |= {str(width): (f"at {width}", ".0%") for width in between}
    rows = [
        {"layer": layer, "numbers": numbers, "cycles": cost[layer, numbers, widest][1]}
        | {str(width): cost[layer, numbers, width][1] / cost[layer, numbers, widest][1] for width in between}
        | {"counted": {str(width): cost[layer, numbers, width] for width in (*between, widest)}}
        for layer, numbers in dict.fromkeys(row[:2] for row in cost)
    ]
    notes = [
        f"One layer with as many inputs as outputs at {_SIDE} × {_SIDE}, counted on the emulated core as half the "
        f"difference of {_DEEP} layers and {_SHALLOW}; shares are of the cycles at {widest} channels.",
        "Where 10, 12 or 14 channels cost what 16 do, or more, taking single channels out of 16 buys nothing.",
    ]
    return Table(f"{kind} on {TARGET}", columns, rows, notes)


def network(kind: str, width: int, depth: int) -> nn.Module:
    """[N, 8, 16, 16] → [N, width]: a stem, then `depth` layers of this kind and width, each with a ReLU."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(_INPUTS, width, 1), nn.ReLU()]
    for _ in range(depth):
        side = 1 if kind == "1×1" else 3
        groups = width if kind.startswith("depthwise") else 1
        layers += [nn.Conv2d(width, width, side, padding=side // 2, groups=groups), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def _measured(device: Qemu, kind: str, rows: list[Row]) -> dict[Row, Work]:
    """The work of one layer of each row."""
    with tempfile.TemporaryDirectory() as folder:
        work = _counted(device, Path(folder), kind, rows)
    share = 1 / (_DEEP - _SHALLOW)
    return {row: ((deep[0] - flat[0]) * share, (deep[1] - flat[1]) * share) for row, (flat, deep) in work.items()}


def _counted(device: Qemu, folder: Path, kind: str, rows: list[Row]) -> dict[Row, list[Work]]:
    """(instructions, cycles) of the shallow and the deep network of each row, all in one emulated process."""
    import numpy as np

    x = np.random.default_rng(0).standard_normal((1, _INPUTS, _SIDE, _SIDE), dtype=np.float32)
    names = [(row, depth, f"m{n}-{depth}.{kind}") for n, row in enumerate(rows) for depth in (_SHALLOW, _DEEP)]
    for row, depth, name in names:
        (folder / name).write_bytes(_file(kind, *row, depth))
    write_inputs(folder / INPUTS, (x,))
    models = [JobModel(Path(name).stem, folder / name) for _, _, name in names]
    job.write(folder, "count", models, folder / INPUTS)
    device.execute(folder, timeout=_TIMEOUT)
    found: dict[Row, list[Work]] = {}
    for (row, _, _), each in zip(names, _cycles(device, counted.parse(folder / COUNTS)), strict=True):
        found.setdefault(row, []).append(each)
    return found


def _cycles(device: Qemu, regions: list[counted.Region]) -> Iterator[Work]:
    from edgebuild.devices.qemu import cache_folder

    emulator, known = sysroot.prepare(cache_folder()), dict[str, float]()
    assert device.hardware is not None
    core = target(TARGET).hardware.core
    assert core is not None
    assert core.time is not None
    for region in regions:
        cycles = counted.cycles(region.blocks, core.time.mcpu, emulator.llvm_mc, emulator.llvm_mca, known)
        yield region.instructions, cycles / region.covered


def _file(kind: str, layer: str, numbers: str, width: int, depth: int) -> bytes:
    """The network as a file; int8 with ranges from noise, which no count depends on."""
    import numpy as np
    import torch

    from edgebuild.steps.techniques.int8 import Int8

    made = FORMATS.get(kind)()
    example = (torch.zeros(1, _INPUTS, _SIDE, _SIDE),)
    file: bytes = made.convert(network(layer, width, depth), example, "nchw")  # as the noise is, in every format
    if numbers == "float":
        return file
    noise = np.random.default_rng(1).standard_normal((_CALIBRATION, 1, _INPUTS, _SIDE, _SIDE), dtype=np.float32)
    integer: bytes = made.quantize(file, Int8().quantization(), [(each,) for each in noise])
    return integer
