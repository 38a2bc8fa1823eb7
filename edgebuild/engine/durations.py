"""How long steps of a kind take, as far as a store has seen: what the order of a build goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Durations:
    """Seconds by kind of step, as the part "step" of a key names it: the mean of the last run and what was known."""

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        """Start with what an earlier build knew."""
        self.known: dict[str, Any] = dict(known or {})
        self.grown = False

    def note(self, kind: str, seconds: float) -> None:
        """Count a step that ran, here or elsewhere."""
        self.known[kind], self.grown = round((self.known.get(kind, seconds) + seconds) / 2, 3), True

    def of(self, kind: str) -> float | None:
        """What a step of this kind is expected to take (s); None where none ever ran."""
        seconds = self.known.get(kind)
        return None if seconds is None else float(seconds)
