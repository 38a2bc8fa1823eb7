"""A GRU that resets its state before it multiplies it (ONNX's default, Keras' `reset_after=False`), step by step.

torch's layer resets afterwards, which is another function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def gru(
    values: Tensor, inward: Tensor, across: Tensor, bias: Tensor | None, state: Tensor | None, backward: bool
) -> tuple[Tensor, Tensor]:
    """[steps, N, inputs] → [steps, directions, N, hidden] and the last states [directions, N, hidden].

    inward [directions, 3 hidden, inputs], across [directions, 3 hidden, hidden], bias [directions, 6 hidden]: the gates
    z, r, h in this order (ONNX: GRU); backward: the one direction goes from the end
    """
    import torch

    sides = []
    for side in range(len(inward)):
        first = values.new_zeros(values.shape[1], across.shape[2]) if state is None else state[side]
        first = first.expand(values.shape[1], -1)  # a constant state is written for one example
        side_bias = None if bias is None else bias[side]
        sides.append(_direction(values, inward[side], across[side], side_bias, first, backward or side == 1))
    return torch.stack([every for every, _ in sides], 1), torch.stack([last for _, last in sides])


def _direction(
    values: Tensor, inward: Tensor, across: Tensor, bias: Tensor | None, state: Tensor, backward: bool
) -> tuple[Tensor, Tensor]:
    import torch
    from torch.nn import functional

    size = across.shape[1]
    own, other = (None, None) if bias is None else (bias[: 3 * size], bias[3 * size :])
    gates, steps = functional.linear(values, inward, own), range(values.shape[0])
    kept, joined = (None, None) if other is None else (other[: 2 * size], other[2 * size :])
    states = {}
    for step in reversed(steps) if backward else steps:
        update, reset = torch.sigmoid(
            gates[step, :, : 2 * size] + functional.linear(state, across[: 2 * size], kept)
        ).chunk(2, -1)
        fresh = torch.tanh(gates[step, :, 2 * size :] + functional.linear(reset * state, across[2 * size :], joined))
        state = (1 - update) * fresh + update * state
        states[step] = state
    return torch.stack([states[step] for step in steps]), state
