"""What a channel costs on the target's kernels, width by width: which `channel_multiple` a profile may have."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._project import target
from benchmarks._tables import Table
from edgebuild.devices.qemu import COUNTS, Qemu
from edgebuild.emulation import counted, sysroot
from edgebuild.jobs.outputs import write_inputs
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from torch import nn

TARGET = "rpi4"
WIDTHS = (8, 10, 12, 14, 16)
KINDS = ("3×3", "1×1", "depthwise 3×3")
_SHALLOW, _DEEP = 1, 3  # their difference is the work of two layers alone, without borders and bookkeeping
_SIDE, _INPUTS, _CALIBRATION = 16, 8, 4
_TIMEOUT = 3600.0


def run(widths: tuple[int, ...] = WIDTHS) -> list[Table]:
    """One table a format: instructions and cycles per layer, and by how much more than its share each width costs."""
    device = Qemu().attach(target(TARGET).hardware)
    return [_table(device, kind, widths) for kind in ("tflite", "onnx")]


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


def _table(device: Qemu, kind: str, widths: tuple[int, ...]) -> Table:
    rows = [(layer, numbers, width) for layer in KINDS for numbers in ("float", "int8") for width in widths]
    columns = {
        "layer": ("layer", ""), "numbers": ("numbers", ""), "width": ("channels", "d"),
        "instructions": ("instructions", ",.0f"), "cycles": ("cycles", ",.0f"),
        "next": ("of the next multiple of 8", ".0%"), "over": ("above the line between multiples of 8", "+.1%"),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        work = _counted(device, Path(folder), kind, rows)
    cost = {row: ((deep[0] - flat[0]) / 2, (deep[1] - flat[1]) / 2) for row, (flat, deep) in work.items()}
    notes = [
        f"One layer at {_SIDE} × {_SIDE}, counted on the emulated core as the difference of {_DEEP} and {_SHALLOW}.",
        "The last columns compare cycles with those of the next multiple of 8, and with the straight line between the "
        "multiples of 8 beside the width: near 100 % the channels saved buy nothing.",
    ]
    shown = [
        dict(zip(("layer", "numbers", "width"), row, strict=True))
        | {"instructions": cost[row][0], "cycles": cost[row][1]}
        | dict(zip(("next", "over"), _compared(row, cost), strict=True))
        for row in rows
    ]
    return Table(f"{kind} on {TARGET}", columns, shown, notes)


def _compared(
    row: tuple[str, str, int], cost: dict[tuple[str, str, int], tuple[float, float]]
) -> tuple[float | None, float | None]:
    """A width's cycles over those of the next multiple of 8, and above the line between both; None for a multiple."""
    layer, numbers, width = row
    low, high = width // 8 * 8, -(-width // 8) * 8
    if low == high or not {(layer, numbers, low), (layer, numbers, high)} <= cost.keys():
        return None, None
    first, last = cost[layer, numbers, low][1], cost[layer, numbers, high][1]
    line = first + (last - first) * (width - low) / (high - low)
    return cost[row][1] / last, cost[row][1] / line - 1


def _counted(
    device: Qemu, folder: Path, kind: str, rows: list[tuple[str, str, int]]
) -> dict[tuple[str, str, int], list[tuple[int, float]]]:
    """(instructions, cycles) of the shallow and the deep network of each row, all in one emulated process."""
    import numpy as np

    x = np.random.default_rng(0).standard_normal((1, _INPUTS, _SIDE, _SIDE), dtype=np.float32)
    names = [(row, depth, f"m{n}-{depth}.{kind}") for n, row in enumerate(rows) for depth in (_SHALLOW, _DEEP)]
    for row, depth, name in names:
        (folder / name).write_bytes(_file(kind, *row, depth))
    write_inputs(folder / "inputs.npz", (x,))
    models = [{"name": name, "file": name, "threads": 1} for _, _, name in names]
    (folder / "job.json").write_text(json.dumps({"mode": "count", "models": models, "inputs": "inputs.npz"}))
    device.execute(folder, timeout=_TIMEOUT)
    found: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for (row, _, _), each in zip(names, _cycles(device, counted.parse(folder / COUNTS)), strict=True):
        found.setdefault(row, []).append(each)
    return found


def _cycles(device: Qemu, regions: list[counted.Region]) -> Iterator[tuple[int, float]]:
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

    from edgebuild.steps.int8 import Int8

    made = FORMATS.get(kind)()
    file: bytes = made.convert(network(layer, width, depth), (torch.zeros(1, _INPUTS, _SIDE, _SIDE),))
    if numbers == "float":
        return file
    noise = np.random.default_rng(1).standard_normal((_CALIBRATION, 1, _INPUTS, _SIDE, _SIDE), dtype=np.float32)
    integer: bytes = made.quantize(file, Int8().quantization(), [(each,) for each in noise])
    return integer
