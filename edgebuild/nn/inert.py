"""Reads what lies beside tensors in a file of `torch.save` as nothing: training scripts keep their arguments
(argparse.Namespace) and scores (numpy's numbers) there, whose classes are neither imported nor called.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgebuild.spec.errors import exhausted


class _Nothing:
    """In the place of an object of any class: takes whatever it is made of, and keeps none of it."""

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class _Mapping:
    """In the place of an object of a class that is a mapping: PyTorch fills none but those of its own list."""

    def __new__(cls, *arguments: Any) -> Any:
        return OrderedDict()


def load(path: Path, names: Iterable[str]) -> Any:
    """What the file holds, without what the code of `names` (module.class) would make; None where it is not readable
    so. PyTorch's reader of plain tensors reads it: it calls nothing but what stands here for these names.
    """
    saved = _load(path, names, _Nothing)
    return _load(path, names, _Mapping) if saved is None else saved


def _load(path: Path, names: Iterable[str], stand_in: type) -> Any:
    import torch

    try:
        with torch.serialization.safe_globals([(stand_in, name) for name in names]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # it raises whatever the bytes lead to; the caller has the first reason
        if exhausted(error):
            raise
        return None
