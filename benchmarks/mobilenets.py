"""The files that are measured: MobileNets with random weights, built with the product's own formats."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._published import NETS
from benchmarks._tables import Table

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TITLES = {
    "tiny": "28×28 CNN",
    "v1": "MobileNetV1",
    "v2": "MobileNetV2",
    "v2-expanded": "MobileNetV2, expanded from the first block on",
    "v3-large": "MobileNetV3 large",
    "v3-large-first": "MobileNetV3 large, first edition",
    "v3-small": "MobileNetV3 small",
}
MOBILENETS = ("v1", "v2", "v3-large", "v3-small")
FORMATS = ("tflite", "onnx")
NUMBERS = ("float", "int8")
CALIBRATION, FEW = 8, 2  # images of noise; their values matter to no figure here
_COLUMNS = {
    "model": ("model", ""),
    "format": ("format", ""),
    "numbers": ("numbers", ""),
    "bytes": ("bytes", ",d"),
    "sha256": ("SHA-256 begins", ".12"),
}


@dataclass(frozen=True, slots=True)
class File:
    """A model file: of which network, in which format ("tflite", "onnx") and numbers ("float", "int8")."""

    net: str
    format: str
    numbers: str
    path: Path

    @property
    def title(self) -> str:
        """The network as people call it."""
        return TITLES[self.net] if self.net in TITLES else NETS[self.net].title


def run(*, small: bool) -> list[Table]:
    """Every MobileNet in every format, with its size and digest; `small`: a tiny network in their place."""
    with tempfile.TemporaryDirectory() as folder:
        files = [file for net in nets(small) for kind in FORMATS for file in build(Path(folder), net, kind)]
        rows = [_row(file) for file in files]
    notes = ["Random weights of seed 0: speed depends on shapes alone. Inputs and outputs are float32 everywhere."]
    return [Table("Files", _COLUMNS, rows, notes)]


def nets(small: bool) -> tuple[str, ...]:
    """What a benchmark measures, or the tiny network that shows that it works."""
    return ("tiny",) if small else MOBILENETS


def _row(file: File) -> dict[str, Any]:
    content = file.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {
        "model": file.title, "format": file.format, "numbers": file.numbers, "bytes": len(content), "sha256": digest
    }  # fmt: skip


def build(folder: Path, net: str, kind: str, seed: int = 0, wanted: Collection[str] = NUMBERS) -> list[File]:
    """Those `wanted` of the float and the static int8 file of `net` in the format `kind`, as the product makes them."""
    import torch

    from benchmarks._networks import network, shape
    from edgebuild.spec import registry
    from edgebuild.steps.techniques.int8 import Int8

    target_format = registry.FORMATS.get(kind)()
    floating = target_format.convert(network(net, seed), (torch.zeros(1, *shape(net)),))
    contents = {"float": floating} if "float" in wanted else {}
    if "int8" in wanted:
        samples = [(example,) for example in noise(net, CALIBRATION if net in TITLES else FEW, seed + 1)[:, None]]
        contents["int8"] = target_format.quantize(floating, Int8().quantization(), samples)
    files = [File(net, kind, numbers, folder / f"{net}-{seed}-{numbers}.{kind}") for numbers in contents]
    for file in files:
        file.path.write_bytes(contents[file.numbers])
    return files


def noise(net: str, count: int, seed: int) -> Array:
    """Inputs [count, …] of normal noise, of the range that normalized photographs have."""
    import numpy as np

    from benchmarks._networks import shape

    return np.random.default_rng(seed).standard_normal((count, *shape(net)), dtype=np.float32)
