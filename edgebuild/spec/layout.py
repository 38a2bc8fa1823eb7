"""How a file lays out the axes of its inputs and outputs: as PyTorch does, or with the channels last."""

from __future__ import annotations

from typing import Final, Literal

Layout = Literal["nchw", "nhwc"]
NCHW: Final = "nchw"
NHWC: Final = "nhwc"
Layouts = tuple[str | None, ...]  # by position; None, or a place beyond the end: as in PyTorch


def axes(layout: str) -> tuple[int, int, int, int]:
    """How the axes of pictures [N, …] of the other layout are turned to get this one."""
    return (0, 2, 3, 1) if layout == NHWC else (0, 3, 1, 2)


def shape_in_file(shape: tuple[int, ...], layout: str | None) -> tuple[int, ...]:
    """A shape [N, C, H, W] as a file with this layout has it."""
    return (shape[0], *shape[2:], shape[1]) if layout == NHWC else shape
