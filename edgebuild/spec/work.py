"""What one operator of a model file has to do: what a comparison of two files is made of."""

from __future__ import annotations

from typing import NamedTuple


class Work(NamedTuple):
    """`signature` says the operator, its settings and the shapes and types of its tensors: equal ones run the same
    kernel on as much. `macs` are multiply-accumulates, `bytes` those of all tensors that it reads and writes.
    """

    signature: str
    macs: int
    bytes: int
