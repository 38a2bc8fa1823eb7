"""What runtimes' profiles have in common: an inference, and its operators in the order in which they began.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple


class Operator(NamedTuple):
    """`us` are its microseconds; `reading` is how often the runtime had read a clock in the inference when it began.

    It ends with the next reading. `output` is the shape of its first output, `key` tells it from others.
    """

    name: str
    op: str
    output: Optional[List[int]]
    us: float
    reading: int
    key: str


class Inference(NamedTuple):
    """`readings` is how often the runtime read a clock in all, at least and at most.

    None where `reading` of its operators says nothing, since one of them runs a graph of its own.
    """

    operators: List[Operator]
    readings: Optional[Tuple[int, int]] = None
