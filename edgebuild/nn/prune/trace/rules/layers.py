"""Operators that read one axis and make another: convolutions, matrix products, attention, recurrent layers, norms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.prune.trace.call import Call, Norm, Rule
from edgebuild.nn.prune.trace.rules.carried import together
from edgebuild.nn.prune.trace.value import Value

if TYPE_CHECKING:
    from edgebuild.nn.prune.trace.numbers import Ids


def convolution(call: Call) -> list[Value]:
    """Block by block where there are groups: whole groups may go, or the same places of each."""
    value, weight, bias = call.arguments["input"], call.arguments["weight"], call.arguments.get("bias")
    space, groups = len(weight.axes) - 2, call.arguments.get("groups", 1)
    channels = len(value.axes) - space - 1
    turned = call.name.startswith("conv_transpose") or bool(call.arguments.get("transposed"))
    for axis in (*weight.axes[2:], *value.axes[-space:]):
        call.protect(axis, "takes places together")
    inward, outward = (weight.axes[0], weight.axes[1]) if turned else (weight.axes[1], weight.axes[0])
    if groups == 1:
        call.unite(value.axes[channels], inward)
        outputs = outward
    else:
        outputs = _grouped(call, value.axes[channels], inward, outward, groups, turned)
    call.born(weight, outputs)
    call.read(weight, inward)
    if bias is not None:
        call.unite(bias.axes[0], outputs)
    spread = tuple(call.places(size) for size in call.shapes[0][-space:])
    return [Value((*value.axes[:channels], outputs, *spread), maker=weight.parameter)]


def _grouped(call: Call, taken: Ids, inward: Ids, outward: Ids, groups: int, turned: bool) -> Ids:
    import numpy as np

    whole = call.numbers.fresh(groups)
    call.sized(whole)
    if turned:
        call.unite(taken, inward)
        call.factor(taken, [whole, call.numbers.fresh(len(taken) // groups)])
        call.numbers.families.append(outward)
        return call.numbers.compose([np.repeat(whole, len(outward)), np.tile(outward, groups)])
    call.factor(taken, [whole, inward])
    call.factor(outward, [whole, call.numbers.fresh(len(outward) // groups)])
    return outward


def linear(call: Call) -> list[Value]:
    """The last axis is read, a new one is made."""
    value, weight, bias = call.arguments["input"], call.arguments["weight"], call.arguments.get("bias")
    call.unite(value.axes[-1], weight.axes[-1])
    call.read(weight, weight.axes[-1])
    if len(weight.axes) == 1:
        return [Value(value.axes[:-1])]
    call.born(weight, weight.axes[0])
    if bias is not None:
        call.unite(bias.axes[-1], weight.axes[0])
    return [Value((*value.axes[:-1], weight.axes[0]), maker=weight.parameter)]


def einsum(call: Call) -> list[Value]:
    """What has the same letter goes together."""
    equation, operands = call.arguments["equation"].replace(" ", ""), call.arguments["tensors"]
    inputs, _, output = equation.partition("->")
    if "..." in equation or "->" not in equation:
        return unknown(call)
    return [Value(_contracted(call, operands, inputs.split(","), output))]


def matmul(call: Call) -> list[Value]:
    """mm, bmm, addmm, baddbmm and matmul, whose leading axes are broadcast."""
    *more, one, two = (value for value in call.arguments.values() if isinstance(value, Value))
    if min(len(one.axes), len(two.axes)) < 2:
        return _vector(call, one, two)
    call.unite(one.axes[-1], two.axes[-2])
    batch = together(call, [Value(v.axes[:-2]) for v in (one, two)], call.shapes[0][:-2])
    _mark(call, (one, two), batch)
    if two.parameter:
        call.born(two, two.axes[-1])
        call.read(two, two.axes[-2])
    result = Value((*batch, one.axes[-2], two.axes[-1]))
    together(call, [result, *more], call.shapes[0])
    return [result]


def _vector(call: Call, one: Value, two: Value) -> list[Value]:
    call.unite(one.axes[-1], two.axes[max(0, len(two.axes) - 2)])
    if len(two.axes) == 1:
        return [Value(one.axes[:-1])]
    return [Value((*two.axes[:-2], two.axes[-1]))]


def _mark(call: Call, operands: Sequence[Value], batch: Sequence[Ids]) -> None:
    """An axis on which two activations are multiplied by pairs is one of heads."""
    if not any(value.parameter for value in operands):
        call.notes.heads += batch


def _contracted(call: Call, operands: Sequence[Value], letters: Sequence[str], output: str) -> tuple[Ids, ...]:
    seen: dict[str, Ids] = {}
    for value, word in zip(operands, letters, strict=True):
        for letter, ids in zip(word, value.axes, strict=True):
            if letter not in seen or len(seen[letter]) == 1:
                seen[letter] = ids
            elif len(ids) > 1:
                call.unite(seen[letter], ids)
    for value, word in zip(operands, letters, strict=True):
        if value.parameter:
            for letter, ids in zip(word, value.axes, strict=True):
                if letter in output and all(letter not in other for other in letters if other is not word):
                    call.born(value, ids)
    if len(letters) == 2:
        _mark(call, operands, [seen[letter] for letter in output if letter in letters[0] and letter in letters[1]])
    return tuple(seen[letter] for letter in output)


def attention(call: Call) -> list[Value]:
    """Queries and keys of a head lose the same; its size decides how scores are scaled, so that stays."""
    q, k, v = (call.arguments[name] for name in ("query", "key", "value"))
    call.unite(q.axes[-1], k.axes[-1])
    if call.arguments.get("scale") is None:
        call.protect(q.axes[-1], "divides by the root of their number")
    call.unite(k.axes[-2], v.axes[-2])
    call.protect(k.axes[-2], "takes all of them together")
    for other in (k, v):
        for ours, theirs in zip(q.axes[:-2], other.axes[:-2], strict=True):
            _paired(call, ours, theirs)
    call.notes.heads += q.axes[:-2]
    mask = call.arguments.get("attn_mask")
    scores = Value((*q.axes[:-1], k.axes[-2]))
    if mask is not None:
        together(call, [scores, mask], scores.shape)
    return [Value((*q.axes[:-1], v.axes[-1]))]


def _paired(call: Call, ours: Ids, theirs: Ids) -> None:
    import numpy as np

    if len(ours) == len(theirs):
        call.unite(ours, theirs)
    elif len(theirs) > 1 and len(ours) % len(theirs) == 0:
        call.unite(ours, np.repeat(theirs, len(ours) // len(theirs)))


_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def recurrent(call: Call) -> list[Value]:
    """Every gate of every layer and direction loses the same of the state."""
    import numpy as np

    value, params = call.arguments["input"], call.arguments["params"]
    states = call.arguments["hx"]
    states = list(states) if isinstance(states, list | tuple) else [states]
    biased, both = call.arguments["has_biases"], call.arguments["bidirectional"]
    gates, each = _GATES[call.name], 4 if biased else 2
    hidden, first = len(params[1].axes[0]) // gates, params[1].axes[1]
    if len(params) != each * call.arguments["num_layers"] * (1 + both) or len(first) != hidden:
        return unknown(call)  # projections
    for place, weight in enumerate(params):
        for gate in range(gates):
            call.unite(weight.axes[0][gate * hidden : (gate + 1) * hidden], first)
        if place % each < 2:
            call.born(weight, weight.axes[0])
            call.read(weight, weight.axes[1])
        if place % each == 1:
            call.unite(weight.axes[1], first)
    below = value.axes[-1]
    state = np.concatenate([first] * (1 + both))
    for layer in range(call.arguments["num_layers"]):
        for direction in range(1 + both):
            call.unite(params[each * (layer * (1 + both) + direction)].axes[1], below)
        below = state
    for one in states:
        call.unite(one.axes[-1], first)
    call.sized(first)
    for axis in value.axes[:-1]:
        call.protect(axis, "goes along it")
    ends = [Value((*one.axes[:-1], first)) for one in states]
    return [Value((*value.axes[:-1], state)), *ends]


def cell(call: Call) -> list[Value]:
    """One step of a recurrent layer, which code repeats: as `recurrent`."""
    state = call.arguments["hx"]
    states = [*state] if isinstance(state, list | tuple) else [state]
    gates = _GATES[call.name.removesuffix("_cell")]
    inward, again = call.arguments["w_ih"], call.arguments["w_hh"]
    hidden = again.axes[1]
    biases = [call.arguments[name] for name in ("b_ih", "b_hh") if call.arguments.get(name) is not None]
    for one in (inward, again, *biases):
        for gate in range(gates):
            call.unite(one.axes[0][gate * len(hidden) : (gate + 1) * len(hidden)], hidden)
    call.unite(call.arguments["input"].axes[-1], inward.axes[1])
    for one in states:
        call.unite(one.axes[-1], hidden)
    for weight in (inward, again):
        call.born(weight, weight.axes[0])
        call.read(weight, weight.axes[1])
    call.sized(hidden)
    return [Value((*one.axes[:-1], hidden)) for one in states]


def batch_norm(call: Call) -> list[Value]:
    """Every channel has its own statistics, scale and shift."""
    value: Value = call.arguments["input"]
    for name in ("weight", "bias", "running_mean", "running_var"):
        own = call.arguments.get(name)
        if own is not None:
            call.unite(value.axes[1], own.axes[0])
            if own.parameter is not None and value.maker is not None:
                call.notes.folds[own.parameter.rpartition(".")[0]] = value.maker
    return [Value(value.axes), *(Value(tuple(map(call.places, shape))) for shape in call.shapes[1:])]


def instance_norm(call: Call) -> list[Value]:
    """As batch norm, with statistics of what it is given, over the places of each example or of all."""
    batch, _, *places = call.arguments["input"].axes
    for axis in (batch, *places):
        call.protect(axis, "takes places together")
    return batch_norm(call)


def group_norm(call: Call) -> list[Value]:
    """Whole groups may go; what goes of each group changes its statistics, which are then of what is left."""
    value: Value = call.arguments["input"]
    groups: int = call.arguments["num_groups" if call.name == "group_norm" else "group"]
    _affine(call, value.axes[1])
    whole, inner = call.numbers.fresh(groups), call.numbers.fresh(len(value.axes[1]) // groups)
    call.sized(whole)
    call.factor(value.axes[1], [whole, inner])
    _normed(call, inner)
    return [Value(value.axes), *(Value(tuple(map(call.places, shape))) for shape in call.shapes[1:])]


def layer_norm(call: Call) -> list[Value]:
    """Statistics over the last axis are then of what is left; those over several axes bind all of them."""
    value, shape = call.arguments["input"], call.arguments["normalized_shape"]
    if len(shape) > 1:
        for ids in value.axes[-len(shape) :]:
            call.protect(ids, "takes all of them together")
    else:
        _affine(call, value.axes[-1])
        _normed(call, value.axes[-1])
        call.sized(value.axes[-1])
    return [Value(value.axes), *(Value(tuple(map(call.places, size))) for size in call.shapes[1:])]


def _affine(call: Call, ids: Ids) -> None:
    for name in ("weight", "bias"):
        own = call.arguments.get(name)
        if own is not None:
            call.unite(ids, own.axes[0])


def _normed(call: Call, ids: Ids) -> None:
    weight = call.arguments.get("weight")
    if weight is None or weight.parameter is None:
        call.protect(ids, "takes all of them together")
    else:
        call.notes.norms.append(Norm(weight.parameter, ids))


def unknown(call: Call) -> list[Value]:
    """Whatever an operator does that no rule knows, nothing of what it takes can go."""
    for value in call.values():
        if value.parameter is not None and len(value.axes) > 1:  # of a layer, which is then named with the reason
            call.born(value, value.axes[0])
        for ids in value.axes:
            call.protect(ids)
    kind = f"what {call.where} makes"
    return [Value(tuple(call.numbers.fixed(kind, size) for size in shape)) for shape in call.shapes]


_CONVOLUTIONS = "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"
MAKING = (*_CONVOLUTIONS.split(), "linear")  # with a weight as their second argument
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_CONVOLUTIONS.split(), convolution),
    **dict.fromkeys(["mm", "bmm", "addmm", "baddbmm", "matmul", "mv"], matmul),
    **dict.fromkeys(_GATES, recurrent),
    **dict.fromkeys([f"{kind}_cell" for kind in _GATES], cell),
    **dict.fromkeys(["batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"], batch_norm),
    **dict.fromkeys(["group_norm", "native_group_norm"], group_norm),
    **dict.fromkeys(["layer_norm", "native_layer_norm", "rms_norm"], layer_norm),
    **dict.fromkeys(["instance_norm", "_native_batch_norm_legit"], instance_norm),
    "linear": linear,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
