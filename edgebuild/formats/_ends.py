"""What kind of operator the outputs of a file come from: a layer gives logits, a sigmoid shares."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Maker(NamedTuple, Generic[Value]):
    """The operator that a value comes from; `biased`: whether one of its inputs is a constant."""

    kind: str
    inputs: tuple[Value, ...]
    biased: bool


def kinds(
    outputs: Iterable[Value], makers: Mapping[Value, Maker[Value]], moving: Collection[str], add: str
) -> dict[Value, str]:
    """The kind of operator of each output, behind those that move, round or name its values (`moving`); an `add` of a
    constant is the bias of its layer. Empty for an output that no operator gives, or a damaged file makes of itself.
    """
    ends = {}
    for name in outputs:
        ahead = dict(makers)
        maker = ahead.pop(name, None)
        while maker is not None and (maker.kind in moving or (maker.kind == add and maker.biased)):
            maker = next((ahead.pop(each) for each in maker.inputs if each in ahead), None)
        ends[name] = "" if maker is None else maker.kind
    return ends
