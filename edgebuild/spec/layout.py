"""How a file lays out the axes of its inputs and outputs: as PyTorch does, or with the channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgebuild.spec.registry import FORMATS

Layout = Literal["nchw", "nhwc"]
NCHW, NHWC = "nchw", "nhwc"
Layouts = tuple[str | None, ...]  # by position; None, or a place beyond the end: as in PyTorch


def of_file(path: Path) -> dict[str, list[str | None]]:
    """The layouts of a model file's inputs and outputs as a job names them; empty where all are as in PyTorch."""
    kinds = (FORMATS.get(name) for name in FORMATS.names())
    kind = next((kind for kind in kinds if Path(kind.file).suffix == path.suffix), None)
    inputs, outputs = kind().layouts_of(path.read_bytes()) if kind else ((), ())
    return {"inputs": list(inputs), "outputs": list(outputs)} if any((*inputs, *outputs)) else {}


def shape_in_file(shape: tuple[int, ...], layout: str | None) -> tuple[int, ...]:
    """A shape [N, C, H, W] as a file with this layout has it."""
    return (shape[0], *shape[2:], shape[1]) if layout == NHWC else shape
