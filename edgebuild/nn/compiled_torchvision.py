"""Lets torchvision be imported where its compiled part does not fit torch, as beside a CPU build of it.

Its operators are then missing, and its import stops at the first that it wants to extend. No network that becomes a
model file needs any of them.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

_OPERATORS = ("nms", "qnms")
_TAKES_AND_GIVES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[Any] = []  # operators live as long as what declared them


@cache
def stand_in() -> None:
    """Declare what torchvision's import asks for, unless its own compiled part does; called before that import."""
    package = PathFinder.find_spec("torchvision")  # not by all finders, of which `_Ahead` would call this again
    if package is None or package.origin is None or _fits(Path(package.origin).parent):
        return
    from torch import library

    kind: Any = library.Library
    own = kind("torchvision", "DEF")
    for name in _OPERATORS:
        own.define(f"{name}{_TAKES_AND_GIVES}")
    _kept.append(own)


class _Ahead:
    """A finder that finds nothing, but declares those operators when torchvision is first looked for."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            stand_in()


def stand_in_when_imported() -> None:
    """Do so once torchvision is imported, by whomever; until then torch, which takes time and memory, is not needed."""
    if not any(isinstance(finder, _Ahead) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Ahead())


def _fits(folder: Path) -> bool:
    import torch

    operators: Any = torch.ops
    try:
        operators.load_library(next(folder.glob("_C*.so")))
    except (StopIteration, OSError):
        return False
    return True
