"""Recurrent layers: torch's own where it has them, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.reset_first import gru

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]

# torch's gates as places among ONNX's: LSTM i, f, g, o of i, o, f, c; GRU r, z, n of z, r, h.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def recurrent(call: Call) -> Any:
    """A layer of either direction or of both; X is [steps, N, inputs], with `layout` 1 [N, steps, inputs]."""
    _check(call)
    backward, both = (call.word("direction", "forward") == word for word in ("reverse", "bidirectional"))
    first = bool(call.integer("layout"))
    if call.kind == "GRU" and not call.integer("linear_before_reset"):
        call.need(not first, "its batch comes first, and it resets before it multiplies")
        optional = [call.tensor(place) if call.has(place) else None for place in (3, 5)]
        return call.unpack(call.emit(gru, call.tensor(0), call.tensor(1), call.tensor(2), *optional, backward), 2)
    values = call.tensor(0)
    steps = 1 if first else 0
    if backward:
        values = call.emit(flipped, values, steps)
    layer = _layer(call, both, first)
    states = _states(call, 2 if both else 1, first)
    result = call.layer(layer, 1, 3, values, *states)
    names = 3 if call.kind == "LSTM" else 2
    return call.unpack(call.emit(arranged, result, backward, both, first), names)


def flipped(values: Tensor, axis: int) -> Tensor:
    """The last step first."""
    return values.flip(axis)


def arranged(answer: Any, backward: bool, both: bool, first: bool) -> tuple[Tensor, ...]:
    """Torch's answer as ONNX has it: [steps, directions, N, hidden] and the last states, or with the batch first."""
    every, last = answer
    states = last if isinstance(last, tuple) else (last,)
    every = every.unflatten(-1, (2 if both else 1, -1))  # [steps, N, directions, hidden], or [N, steps, …]
    if backward:
        every = every.flip(1 if first else 0)
    if first:
        return (every, *(state.movedim(0, 1) for state in states))
    return (every.movedim(2, 1), *states)


def _check(call: Call) -> None:
    for place, noun in ((1, "weights"), (2, "weights"), (3, "biases")):
        if call.has(place):
            call.need(call.is_constant(place), f"its {noun} are computed")
    call.need(not call.has(7), "it has peepholes, and torch's layer has none")
    call.need(call.attribute("clip") is None, "it clips its gates, and torch's layer does not")
    call.need(not call.integer("input_forget"), "it couples its gates, and torch's layer does not")
    directions = 2 if call.word("direction", "forward") == "bidirectional" else 1
    names = call.words("activations")
    if call.kind == "RNN" and {*names} == {"Relu"}:
        return
    call.need(names in ((), _ACTIVATIONS[call.kind] * directions), f"its activations are {', '.join(names)}")
    if call.has(4):
        steps = call.shape(0)[1 if call.integer("layout") else 0]
        full = call.is_constant(4) and bool((call.array(4) == steps).all())
        call.need(full, "its sequences have lengths of their own", "fix them to the whole length")


def _layer(call: Call, both: bool, first: bool) -> nn.Module:
    from torch import nn

    sizes = {"input_size": call.shape(1)[2], "hidden_size": call.integer("hidden_size", call.shape(2)[2])}
    options = {"batch_first": first, "bidirectional": both, "bias": call.has(3)}
    layer: nn.RNNBase
    if call.kind == "LSTM":
        layer = nn.LSTM(**sizes, **options)
    elif call.kind == "GRU":
        layer = nn.GRU(**sizes, **options)
    else:
        kind = "relu" if "Relu" in call.words("activations") else "tanh"
        layer = nn.RNN(**sizes, **options, nonlinearity=kind)
    for direction, end in enumerate(("", "_reverse")[: 2 if both else 1]):
        _fill(call, layer, direction, end)
    layer.flatten_parameters()
    return layer


def _fill(call: Call, layer: nn.RNNBase, direction: int, end: str) -> None:
    setattr(layer, f"weight_ih_l0{end}", call.derived(_ordered(call, call.array(1)[direction])))
    setattr(layer, f"weight_hh_l0{end}", call.derived(_ordered(call, call.array(2)[direction])))
    if call.has(3):
        bias = call.array(3)[direction]
        half = len(bias) // 2
        setattr(layer, f"bias_ih_l0{end}", call.derived(_ordered(call, bias[:half])))
        setattr(layer, f"bias_hh_l0{end}", call.derived(_ordered(call, bias[half:])))


def _ordered(call: Call, values: Array) -> Array:
    gates = _GATES[call.kind]
    parts = values.reshape(len(gates), -1, *values.shape[1:])
    return parts[list(gates)].reshape(values.shape)


def _states(call: Call, directions: int, first: bool) -> tuple[Any, ...]:
    """The initial states as torch takes them; none where they are zeros."""
    places = (5, 6) if call.kind == "LSTM" else (5,)
    present = [place for place in places if call.has(place)]
    if not present or all(call.is_constant(place) and not call.array(place).any() for place in present):
        return ()
    hidden = call.integer("hidden_size", call.shape(2)[2])
    states = [_state(call, place, first) if call.has(place) else None for place in places]
    known = next(state for state in states if state is not None)
    filled = tuple(call.emit(_zeros, known, directions, hidden) if state is None else state for state in states)
    return (filled,) if call.kind == "LSTM" else filled


def _state(call: Call, place: int, first: bool) -> Any:
    state = call.tensor(place)
    if call.is_constant(place):  # written for one example
        state = call.emit(for_all, state, call.tensor(0), 0 if first else 1)
    return call.emit(_turned, state) if first else state


def for_all(state: Tensor, values: Tensor, axis: int) -> Tensor:
    """A constant state with the batch of the input, which has that on this axis."""
    return state.expand(*[values.shape[axis] if k == axis else -1 for k in range(3)])


def _turned(state: Tensor) -> Tensor:
    return state.movedim(0, 1)


def _zeros(like: Tensor, directions: int, hidden: int) -> Tensor:
    return like.new_zeros(directions, like.shape[1], hidden)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {"GRU": recurrent, "LSTM": recurrent, "RNN": recurrent}
