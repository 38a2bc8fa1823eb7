"""What no layer can be: branches and loops that inputs decide, and results whose size they decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgebuild.nn.lift.call import Call


def branch(call: Call) -> Any:
    """One of two graphs; where constants decide, the other is gone before this."""
    return call.refuse("an input decides which branch is taken", "give that input's value in constants")


def loop(call: Call) -> Any:
    """A graph again and again."""
    return call.refuse("it runs a graph again and again", "export the model with its steps unrolled")


def sized(call: Call) -> Any:
    """A result as large as values of the input say."""
    return call.refuse("how large its result is depends on values", "leave it to what follows the model")


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("NonMaxSuppression", "NonZero", "Unique", "Compress"), sized),
    **dict.fromkeys(("Loop", "Scan"), loop),
    "If": branch,
}
