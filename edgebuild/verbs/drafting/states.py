"""Outputs of a drafted model that may come back as inputs with the next step, which no file says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebuild.verbs.drafting import toml

if TYPE_CHECKING:
    from edgebuild.spec.signature import TensorSpec


def possible(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> dict[str, list[str]]:
    """The outputs that each of some inputs may be the last value of, the likeliest first: as many of each have that
    shape and type, and an input and an output are left that are neither.
    """
    pairs = dict[str, list[str]]()
    for kind in dict.fromkeys(map(_kind, inputs)):
        came, left = ([one.name for one in side if _kind(one) == kind] for side in (inputs, outputs))
        if len(came) == len(left):
            pairs |= {name: [left[place], *left[:place], *left[place + 1 :]] for place, name in enumerate(came)}
    return pairs if len(pairs) < min(len(inputs), len(outputs)) else {}


def guess(pairs: dict[str, list[str]]) -> str:
    """The line for who drafts."""
    shown = " and ".join(f"{came!r} (output {' or '.join(map(repr, left))})" for came, left in pairs.items())
    told = "is not taken for states" if len(pairs) > 1 else "is not taken for a state"
    return f"what comes back from step to step {told}, which {shown} may be by shape: `state` in [[inputs]] says so"


def line(left: list[str]) -> str:
    """The line of [[inputs]], for who knows better."""
    others = f", or {' or '.join(map(toml.quoted, left[1:]))}" if left[1:] else ""
    state = f"state = {{from = {toml.quoted(left[0])}}}"
    return f"# {state}  # where it is what the step before answered there{others}; data then lacks it"


def _kind(spec: TensorSpec) -> tuple[tuple[int, ...], str]:
    return spec.shape, spec.dtype
