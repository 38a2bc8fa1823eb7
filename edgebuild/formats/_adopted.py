"""What taking in files of others has in common, whatever their format: refusals in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgebuild.spec.errors import UsageError, exhausted

FIXED = "end the file before the operator that chooses (NonMaxSuppression, NonZero), or have it fill up to one size"
T = TypeVar("T")


def attempt(what: str, call: Callable[[], T]) -> T:
    """What the call gives; UsageError with the first line of whatever a reader or runtime says, over many lines."""
    try:
        return call()
    except UsageError:
        raise
    except Exception as error:  # protobuf, onnx, ONNX Runtime and LiteRT each raise classes of their own
        if exhausted(error):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UsageError(f"{what}: {lines[0].strip() if lines else type(error).__name__}") from None
