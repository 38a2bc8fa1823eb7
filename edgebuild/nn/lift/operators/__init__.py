"""What each ONNX operator is in torch: one file a family, and in each a table from operators to functions.

To add an operator is to write one function and to name it in the table of its file. It is given the node (`Call`) and
gives the node of the result, an array where that is known, or a tuple of these for several outputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgebuild.nn.lift.call import Call

Operator = Callable[[Call], Any]


@cache
def table() -> Mapping[str, Operator]:
    """Every operator by name; those of other domains than ONNX's own as `domain::name`."""
    operators: dict[str, Operator] = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        operators |= importlib.import_module(f"{__name__}.{path.stem}").OPERATORS
    return operators


def find(domain: str, name: str) -> Operator | None:
    """The function of an operator; None where there is none."""
    return table().get(f"{domain}::{name}" if domain else name)
