"""Routes a split model: the edge's half runs here, what it gives goes to the server's half, wherever that is.

EDGEBUILD_SERVER (host:port) says where `serve_part.py` runs; without it both halves run here. Where the link is lost,
the fall-back answers if the bundle has one, with a line on standard error; else it is an error. It never hangs.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, List, Mapping, Sequence, Tuple

import numpy as np

if __package__:
    from . import edge_link
else:
    import edge_link  # type: ignore[import-not-found,no-redef]

Array = Any
Part = Callable[[Sequence[Array]], Sequence[Array]]


def answer(rule: Mapping[str, float], parts: Sequence[Part], values: Sequence[Array]) -> Sequence[Array]:
    """The whole's outputs for a batch of one; `parts` are the edge's half, the server's, and the fall-back if any."""
    edge, server, *fallback = parts
    where = edge_link.remote()
    crossing = edge(values)
    if where is None:
        return server(crossing)
    try:
        return edge_link.asked(where, rule, crossing)
    except edge_link.LinkError as error:
        if not fallback:
            raise
        print("route_split: %s; the fall-back answers" % error, file=sys.stderr)
        return fallback[0](values)


def combined(rule: Mapping[str, float], answers: Sequence[Sequence[Array]]) -> Tuple[List[Array], Array]:
    """What the server's half gives, and that both halves ran for each example."""
    outputs = list(answers[1])
    ran = np.zeros((len(outputs[0]), len(answers)), bool)
    ran[:, :2] = True
    return outputs, ran
