"""Names in messages: what somebody who wrote an unknown one probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint that names what is close to `name`, and all that is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    return f"did you mean {close[0]!r}? known: {listed}" if close else f"known: {listed}"
