"""Assertions within a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import fx


class Assertions(Rewrite):
    """An assertion about values is left out: a file has nothing that stops it."""

    operators: ClassVar[tuple[str, ...]] = ("_assert_async.msg", "_assert_async.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Wherever it stands."""
        return _nothing


def _nothing(*_: Any, **__: Any) -> None:
    return None
