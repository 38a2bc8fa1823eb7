"""The loaders of model files: those beside this file, and those that came with a job.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any, Dict, List


def loaders(folder: str) -> List[str]:
    """The names of the modules in a folder that open models, `load_<format>.py` each."""
    return [name[:-3] for name in sorted(os.listdir(folder)) if re.match(r"load_\w+\.py$", name)]


def beside() -> List[Any]:
    """The loaders that are in this file's folder, as modules."""
    names = loaders(os.path.dirname(os.path.abspath(__file__)))
    return [importlib.import_module("." + name if __package__ else name, __package__) for name in names]


BESIDE = beside()
LOADERS: Dict[str, Any] = {suffix: loader.Model for loader in BESIDE for suffix in loader.SUFFIXES}
PACKAGES = ("numpy", *(package for loader in BESIDE for package in loader.PACKAGES))  # what arithmetic depends on
BROUGHT: List[str] = []  # distributions of the loaders that came with the job


def bring(folder: str) -> None:
    """Take the loaders in a job's folder, of formats that this program has none for."""
    names = loaders(folder)
    if names:
        sys.path.append(os.path.abspath(folder))
    for loader in map(importlib.import_module, names):
        LOADERS.update({suffix: loader.Model for suffix in loader.SUFFIXES if suffix not in LOADERS})
        BROUGHT.extend(loader.PACKAGES)
