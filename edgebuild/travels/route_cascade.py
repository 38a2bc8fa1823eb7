"""Routes a cascade: the first part answers where it is sure, else the next.

Where that is a server's (the rule has `seconds`), EDGEBUILD_SERVER (host:port) says where `serve_part.py` runs;
without it both parts run here. Where the link is lost, the first part's answer stands if the rule says `offline`, with
a line on standard error; else it is an error.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable, List, Mapping, Sequence, Tuple

import numpy as np

Array = Any
Part = Callable[[Sequence[Array]], Sequence[Array]]
_SUMS_TO_1 = 1e-3  # how far from it rounding takes a softmax


def confidence(scores: Array, temperature: float) -> Array:
    """Calibrated probability [N] of the likeliest class, from logits or probabilities [N, C] (Guo et al. 2017)."""
    logits = as_logits(np.asarray(scores, np.float64).reshape(len(scores), -1)) / temperature
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return 1 / shares.sum(1)


def as_logits(scores: Array) -> Array:
    """Scores [N, C] as logits: rows that are probabilities become their logarithms."""
    shares = (scores >= 0).all(1) & (np.abs(scores.sum(1) - 1) <= _SUMS_TO_1)
    return np.where(shares[:, None], np.log(np.maximum(scores, np.finfo(np.float32).tiny)), scores)


def sure(rule: Mapping[str, float], outputs: Sequence[Array]) -> Array:
    """Whether [N] the first part's answers stand."""
    return confidence(outputs[0], rule["temperature"]) >= rule["threshold"]


def answer(rule: Mapping[str, float], parts: Sequence[Part], values: Sequence[Array]) -> Sequence[Array]:
    """The whole's outputs for a batch of one; the second part runs only where the first is not sure."""
    first = parts[0](values)
    if bool(sure(rule, first).all()):
        return first
    return asked(rule, parts, first, values) if "seconds" in rule else parts[1](values)


def asked(rule: Mapping[str, float], parts: Sequence[Part], first: Sequence[Array], values: Sequence[Array]) -> Any:
    """What the second part answers on its server, or here where none is named."""
    link = importlib.import_module(".edge_link" if __package__ else "edge_link", __package__)
    where = link.remote()
    if where is None:
        return parts[1](values)
    try:
        return link.asked(where, rule, values)
    except link.LinkError as error:
        if not rule["offline"]:
            raise
        print("route_cascade: %s; the first part's answer stands" % error, file=sys.stderr)
        return first


def combined(rule: Mapping[str, float], answers: Sequence[Sequence[Array]]) -> Tuple[List[Array], Array]:
    """The whole's outputs for all examples, and which parts ran for each, [N, 2] bool."""
    stands = sure(rule, answers[0])
    outputs = [
        np.where(stands.reshape((-1,) + (1,) * (first.ndim - 1)), first, second)
        for first, second in zip(answers[0], answers[1])
    ]
    return outputs, np.stack([np.ones(len(stands), bool), ~stands], 1)
