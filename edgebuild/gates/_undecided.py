"""What to say of a change that is neither proved inside its limit nor outside: how likely, and what would decide it."""

from __future__ import annotations

import math
from typing import NamedTuple


class Undecided(NamedTuple):
    """An estimate that is not decided, over `n` observations called `noun`.

    `p` is one-sided: how often a true change *at* the limit would give an estimate at least so far on this side of
    it. Where it is below `error`, the change would be decided. `needed` observations would decide it nine times out of
    ten, if the estimate stayed as it is; infinite where it lies on the limit.
    """

    estimate: str
    inside: bool
    p: float
    error: float
    needed: float
    n: int
    noun: str = "examples"

    @property
    def reason(self) -> str:
        """Which way it points, how surely, and what more observations would do."""
        side, verdict = ("inside", "pass") if self.inside else ("beyond", "fail")
        if not math.isfinite(self.needed):
            return f"{self.estimate} is just the limit: more {self.noun} may decide it either way"
        if self.p <= self.error or self.needed <= self.n:  # what is not seen widens the bounds beyond what p says
            return f"{self.estimate} is {side} the limit, but {self.n} {self.noun} do not prove it"
        measure = f"one-sided p = {self.p:.2g}, a {verdict} needs {self.error:.2g}"
        more = f"about {math.ceil(self.needed)} {self.noun} would show a {verdict}, and there are {self.n}"
        if not self.inside:
            more = f"more {self.noun} would not make it pass: {more}"
        return f"{self.estimate} is {side} the limit, but not surely ({measure}); if it stays so, {more}"
