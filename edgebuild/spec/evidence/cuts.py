"""Where a model may be cut in two, what crosses there, and how long the whole takes over links of several speeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec.target import Fidelity


@dataclass(frozen=True, slots=True)
class Cut:
    """A tensor that alone carries everything on: bytes of a frame with it, of both halves' files, seconds of each.

    `total` is the time of an example end to end by the speed of the link, in bits a second; `equal` whether the halves
    answer as the whole does, bit by bit; `useful` whether both halves multiply something, and the edge's is small
    enough.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    edge_bytes: int
    server_bytes: int
    edge_seconds: float
    server_seconds: float
    total: Mapping[str, float]
    equal: bool
    useful: bool


@dataclass(frozen=True, slots=True)
class Cuts:
    """Every cut in the order of the graph, and the chosen one's tensor: the fastest over `link` bits a second.

    `here` is the whole on the edge, `there` by speed the whole on the server with the input sent to it. Seconds on the
    server are this machine's; those on the edge too, times `scale`, so that the whole takes there what the evidence of
    this `fidelity` says. The halves were held against the whole on n examples. A frame with the answer has
    `answer_bytes`.
    """

    chosen: str
    link: float
    table: tuple[Cut, ...]
    here: float
    there: Mapping[str, float]
    scale: float
    fidelity: Fidelity
    n: int
    answer_bytes: int

    @property
    def best(self) -> Cut:
        """The chosen cut."""
        return next(cut for cut in self.table if cut.tensor == self.chosen)
