"""What a format refuses, or its runtime computes slowly or wrongly, said in other operators that give the same."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, fx

Trouble = Literal["refused", "slow", "wrong"]


class Rewrite(Protocol):
    """One file in `nn/legalize/rewrites/`; the first line of its class says what becomes of what.

    operators: those that it rewrites, as `torch.export` names them, with their overload ("conv1d.padding")
    formats: what becomes of them without it, by format
    """

    __slots__ = ()

    operators: ClassVar[tuple[str, ...]]
    formats: ClassVar[Mapping[str, Trouble]]

    @staticmethod
    @abstractmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """What is called in the operator's place with the arguments that it has; None where this use does no harm.

        `node.meta["val"]` of a node is a tensor of the shape and type that it gives.
        """

    @staticmethod
    def stored(node: fx.Node) -> Callable[[Tensor], Tensor] | None:
        """What becomes of the values of a parameter, buffer or constant that this placeholder stands for; None: they
        stay.
        """
        return None
