"""Reads what lies beside tensors in a file of `torch.save` as nothing: training scripts keep their arguments
(argparse.Namespace) and scores (numpy's numbers) there, whose classes are neither imported nor called.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any


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
    import torch

    for one in (_Nothing, _Mapping):
        try:
            with torch.serialization.safe_globals([(one, name) for name in names]):
                return torch.load(path, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception:  # it raises whatever the bytes lead to; the caller has the first reason
            continue
    return None
