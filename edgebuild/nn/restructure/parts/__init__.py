"""What may stand where another part stood: one file each, that builds it for a freshly built module, without weights.

Each is given the sub-module that it replaces, and the sizes that a swap records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgebuild.nn.restructure.parts import low_rank, nothing, rectifiers, scale, separable

PARTS: Mapping[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "low_rank": low_rank.build,
    "nothing": nothing.build,
    "relu": rectifiers.relu,
    "relu6": rectifiers.relu6,
    "scale": scale.build,
    "separable": separable.build,
}
