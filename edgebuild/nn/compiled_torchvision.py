"""Lets torchvision be imported where its compiled part does not fit torch, as beside a CPU build of it.

Its operators are then missing, and its import stops at the first that it wants to extend. No network that becomes a
model file needs any of them.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OPERATORS = ("nms", "qnms")
_TAKES_AND_GIVES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[Any] = []  # operators live as long as what declared them


@cache
def stand_in() -> None:
    """Declare what torchvision's import asks for, unless its own compiled part does; called before that import."""
    package = find_spec("torchvision")
    if package is None or package.origin is None or _fits(Path(package.origin).parent):
        return
    from torch import library

    kind: Any = library.Library
    own = kind("torchvision", "DEF")
    for name in _OPERATORS:
        own.define(f"{name}{_TAKES_AND_GIVES}")
    _kept.append(own)


def _fits(folder: Path) -> bool:
    import torch

    operators: Any = torch.ops
    try:
        operators.load_library(next(folder.glob("_C*.so")))
    except (StopIteration, OSError):
        return False
    return True
