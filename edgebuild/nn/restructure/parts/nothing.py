"""No part at all: what goes in comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def build(old: Any, sizes: tuple[int, ...]) -> nn.Module:
    """The identity, whatever stood there."""
    from torch import nn

    return nn.Identity()
