"""Operators that compute each value by itself: arithmetic, comparisons, logic, types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import dtypes
from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.operators._torch import torch_function

if TYPE_CHECKING:
    from torch import Tensor

# Those that torch has under another name, or the same, with nothing to say but the value.
_UNARY = {
    **{name: name.lower() for name in ("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos")},
    **{name: name.lower() for name in ("Cosh", "Erf", "Exp", "Floor", "IsNaN", "Log", "Neg", "Reciprocal", "Relu")},
    **{name: name.lower() for name in ("Round", "Sigmoid", "Sign", "Sin", "Sinh", "Sqrt", "Tan", "Tanh")},
    "Not": "logical_not",
    "BitwiseNot": "bitwise_not",
}
_BINARY = {
    **{"Sub": "sub", "Mul": "mul", "Equal": "eq", "Greater": "gt", "GreaterOrEqual": "ge"},
    **{"Less": "lt", "LessOrEqual": "le", "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor"},
    **{"BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor"},
}
_VARIADIC = {"Sum": "add", "Max": "maximum", "Min": "minimum"}


def unary(call: Call) -> Any:
    """One value from one."""
    return call.emit(torch_function(_UNARY[call.kind]), call.tensor(0))


def binary(call: Call) -> Any:
    """One value from two, either of which may be one number; torch's logic takes tensors alone."""
    operand = call.tensor if call.kind in ("And", "Or", "Xor") else call.operand
    one, other = operand(0), operand(1)
    if isinstance(one, int | float):  # torch wants the tensor first
        one = call.tensor(0)
    return call.emit(torch_function(_BINARY[call.kind]), one, other)


def add(call: Call) -> Any:
    """A sum; the number, if one is, stands second."""
    one, other = call.operand(0), call.operand(1)
    first, second = (other, one) if isinstance(one, int | float) else (one, other)
    return call.emit(torch_function("add"), first, second)


def variadic(call: Call) -> Any:
    """One value from any number of them."""
    function = torch_function(_VARIADIC[call.kind])
    return reduce(lambda one, other: call.emit(function, one, other), [call.tensor(k) for k in range(call.count)])


def mean(call: Call) -> Any:
    """The mean of any number of tensors."""
    total = reduce(lambda one, other: call.emit(torch_function("add"), one, other), map(call.tensor, range(call.count)))
    return call.emit(torch_function("div"), total, call.count)


def divide(call: Call) -> Any:
    """A quotient; that of whole numbers is cut towards zero."""
    if call.trial(0).is_floating_point():
        one, other = call.operand(0), call.operand(1)
        return (
            call.emit(reciprocal, other, one)
            if isinstance(one, float)
            else call.emit(torch_function("div"), one, other)
        )
    return call.emit(torch_function("div"), call.tensor(0), call.operand(1), rounding_mode="trunc")


def reciprocal(values: Tensor, share: float) -> Tensor:
    """Share / values."""
    import torch

    return torch.reciprocal(values) * share


def modulo(call: Call) -> Any:
    """What is left of a division, with the sign of the divisor, or with `fmod` of the dividend."""
    return call.emit(torch_function("fmod" if call.integer("fmod") else "remainder"), call.tensor(0), call.operand(1))


def power(call: Call) -> Any:
    """A power, which has the type of what is raised."""
    exponent = call.operand(1)
    raised = call.emit(torch_function("pow"), call.tensor(0), exponent)
    return call.emit(dtypes.to, raised, call.trial(0).dtype)


def shift(call: Call) -> Any:
    """Bits moved left or right."""
    left = call.word("direction") == "LEFT"
    return call.emit(
        torch_function("bitwise_left_shift" if left else "bitwise_right_shift"), call.tensor(0), call.tensor(1)
    )


def where(call: Call) -> Any:
    """One or the other."""
    return call.emit(torch_function("where"), call.tensor(0), call.operand(1), call.operand(2))


def is_infinite(call: Call) -> Any:
    """Whether a value is infinite, of either sign or of one alone."""
    above, below = bool(call.integer("detect_positive", 1)), bool(call.integer("detect_negative", 1))
    return call.emit(infinite, call.tensor(0), above, below)


def infinite(values: Tensor, above: bool, below: bool) -> Tensor:
    """Whether values are +inf (`above`) or −inf (`below`)."""
    import torch

    return torch.isinf(values) & ((values > 0) & above | (values < 0) & below)


def cast(call: Call) -> Any:
    """Another type."""
    kind = dtypes.of_onnx(call.integer("to"))
    call.need(kind is not None, "torch has no such type")
    return call.emit(dtypes.to, call.tensor(0), kind)


def cast_like(call: Call) -> Any:
    """The type that another tensor has."""
    return call.emit(dtypes.to, call.tensor(0), call.trial(1).dtype)


def identity(call: Call) -> Any:
    """The value as it is; of a dropout, that of inference."""
    call.need(not (call.kind == "Dropout" and _training(call)), "its dropout is of training mode")
    value = call.value(0)
    if call.kind == "Dropout" and len(call.node.output) > 1 and call.node.output[1]:
        return value, call.emit(torch_function("ones_like"), call.tensor(0), dtype=torch_function("bool"))
    return value


def _training(call: Call) -> bool:
    return call.has(2) and bool(call.array(2)) and not (call.has(1) and float(call.array(1)) == 0)


def clip(call: Call) -> Any:
    """Values held between two bounds, either of which may be missing."""
    low, high = (_bound(call, place, name) for place, name in ((1, "min"), (2, "max")))
    if low is None and high is None:
        return call.value(0)
    import torch
    from torch.nn import functional

    if (low, high) == (0.0, 6.0) and call.trial(0).is_floating_point():
        return call.emit(functional.relu6, call.tensor(0))
    return call.emit(torch.clamp, call.tensor(0), low, high)


def _bound(call: Call, place: int, name: str) -> Any:
    if call.has(place):
        return call.operand(place)
    return call.number(name, 0) if call.attribute(name) is not None else None


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    **dict.fromkeys(_UNARY, unary),
    **dict.fromkeys(_BINARY, binary),
    **dict.fromkeys(_VARIADIC, variadic),
    "Add": add,
    "BitShift": shift,
    "Cast": cast,
    "CastLike": cast_like,
    "Clip": clip,
    "Div": divide,
    "Dropout": identity,
    "Identity": identity,
    "IsInf": is_infinite,
    "Mean": mean,
    "Mod": modulo,
    "Pow": power,
    "Where": where,
}
