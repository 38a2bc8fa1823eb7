"""Long short-term memories whose state is projected to fewer values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_MOST_STEPS = 512


class ProjectedLstm(Rewrite):
    """An LSTM with `proj_size` is spelled out step by step: ONNX's own has no projection."""

    operators: ClassVar[tuple[str, ...]] = ("lstm.input",)
    formats: ClassVar[Mapping[str, Trouble]] = {"onnx": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where it has one, and not too many steps."""
        values, parts = argument(node, 0, "input", None).meta["val"], argument(node, 2, "params", ())
        biased, count, two = (argument(node, place, "", False) for place in (3, 4, 7))
        steps = values.shape[1 if argument(node, 8, "batch_first", False) else 0]
        projected = len(parts) == count * (1 + two) * (5 if biased else 3)
        return _unrolled if projected and values.ndim == 3 and steps <= _MOST_STEPS else None


def _unrolled(
    x: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    import torch

    each, ways = (5 if has_biases else 3), (2 if bidirectional else 1)
    values, states, cells = x.transpose(0, 1) if batch_first else x, [], []
    for layer in range(num_layers):
        sides = []
        for way in range(ways):
            place = layer * ways + way
            weights = params[place * each : (place + 1) * each]
            steps = [*_steps(values.flip(0) if way else values, hx[0][place], hx[1][place], weights)]
            states.append(steps[-1][0])
            cells.append(steps[-1][1])
            sides.append(torch.stack([state for state, _ in (reversed(steps) if way else steps)]))
        values = torch.cat(sides, -1)
    return values.transpose(0, 1) if batch_first else values, torch.stack(states), torch.stack(cells)


def _steps(values: Tensor, state: Tensor, cell: Tensor, weights: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """State and cell after each step (Sak, Senior & Beaufays 2014)."""
    from torch.nn import functional

    taken, kept, *biases, projection = weights
    first, second = biases or (None, None)
    given = functional.linear(values, taken, first)
    for place in range(len(values)):
        gates = given[place] + functional.linear(state, kept, second)
        write, forget, new, read = gates.chunk(4, -1)
        cell = forget.sigmoid() * cell + write.sigmoid() * new.tanh()
        state = functional.linear(read.sigmoid() * cell.tanh(), projection)
        yield state, cell
