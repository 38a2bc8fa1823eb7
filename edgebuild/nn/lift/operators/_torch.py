"""PyTorch's own functions by name: operators say which they become before anything needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def torch_function(name: str) -> Callable[..., Any]:
    """`torch.<name>`."""
    import torch

    named: Callable[..., Any] = getattr(torch, name)
    return named
