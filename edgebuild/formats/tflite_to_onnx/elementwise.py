"""Operators that look at one place at a time: arithmetic, and functions of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgebuild.formats.tflite_to_onnx.graph import Call


def _same(kind: str, call: Call) -> str:
    """What ONNX has by another name."""
    return call.node(kind, *call.inputs)


def _arithmetic(kind: str, call: Call) -> str:
    return call.activated(call.node(kind, *call.inputs), call.options.fusedActivationFunction)


def _clipped(low: float, high: float, call: Call) -> str:
    return call.node("Clip", call.inputs[0], call.scalar(low), call.scalar(high))


def prelu(call: Call) -> str:
    """A slope for each channel; of pictures they come first, as layers have them."""
    slopes = call.value(1)
    if len(call.shapes[0]) == 4 and slopes.size == slopes.shape[-1]:
        slope = call.weight(slopes.reshape(-1, 1, 1), "weight")
        return call.last(call.node("PRelu", call.first(call.inputs[0]), slope))
    return call.node("PRelu", call.inputs[0], call.weight(slopes, "weight"))


def softmax(call: Call) -> str:
    """Along the last axis."""
    beta = call.options.beta
    scaled = call.inputs[0] if beta == 1 else call.node("Mul", call.inputs[0], call.scalar(beta))
    return call.node("Softmax", scaled, axis=-1)


def log_softmax(call: Call) -> str:
    """Along the last axis."""
    return call.node("LogSoftmax", call.inputs[0], axis=-1)


def leaky_relu(call: Call) -> str:
    """With its slope."""
    return call.node("LeakyRelu", call.inputs[0], alpha=float(call.options.alpha))


def gelu(call: Call) -> str:
    """Of normal distribution's own function, or its approximation."""
    return call.node("Gelu", call.inputs[0], approximate="tanh" if call.options.approximate else "none")


def hard_swish(call: Call) -> str:
    """X · relu6(x + 3) / 6."""
    return call.node("HardSwish", call.inputs[0])


def rsqrt(call: Call) -> str:
    """1 / √x."""
    return call.node("Reciprocal", call.node("Sqrt", call.inputs[0]))


def square(call: Call) -> str:
    """X · x."""
    return call.node("Mul", call.inputs[0], call.inputs[0])


def squared_difference(call: Call) -> str:
    """(a − b)²."""
    apart = call.node("Sub", *call.inputs)
    return call.node("Mul", apart, apart)


def l2_normalization(call: Call) -> str:
    """X / √(Σ x²) along the last axis."""
    inner = call.node("ReduceL2", call.inputs[0], call.graph.whole([-1]), keepdims=1)
    return call.node("Div", call.inputs[0], call.node("Max", inner, call.scalar(1e-6**0.5)))


def not_equal(call: Call) -> str:
    """Whether two differ."""
    return call.node("Not", call.node("Equal", *call.inputs))


def select(call: Call) -> str:
    """One or the other: of places, or of whole rows where there is a choice for each of these."""
    rows = (1,) * (len(call.shapes[1]) - 1)
    choice = call.inputs[0]
    if call.shapes[0] != call.shapes[1] and len(call.shapes[0]) == 1:
        choice = call.shaped(choice, (call.shapes[0][0], *rows))
    return call.node("Where", choice, *call.inputs[1:])


def floor_mod(call: Call) -> str:
    """The rest of a division, with the sign of the divisor; ONNX's has it of whole numbers alone."""
    divisor = call.inputs[1]
    rest = call.node("Mod", *call.inputs, fmod=1)  # with the sign of the dividend
    against = call.node("Less", call.node("Mul", rest, divisor), call.node("Sub", divisor, divisor))
    return call.node("Where", against, call.node("Add", rest, divisor), rest)


def floor_div(call: Call) -> str:
    """The quotient without its rest, of whole numbers as of others: ONNX rounds the former towards 0."""
    return call.node("Div", call.node("Sub", call.inputs[0], floor_mod(call)), call.inputs[1])


def cast(call: Call) -> str:
    """To the type of the output, of those that both have."""
    onnx_types = {0: 1, 2: 6, 4: 7, 6: 9}
    kind = onnx_types.get(call.options.outDataType)
    if kind is None:
        call.refuse(f"type {call.options.outDataType} is not known")
    return call.node("Cast", call.inputs[0], to=kind)


OPERATORS: Mapping[str, Callable[[Call], str]] = {
    "ADD": partial(_arithmetic, "Add"),
    "SUB": partial(_arithmetic, "Sub"),
    "MUL": partial(_arithmetic, "Mul"),
    "DIV": partial(_arithmetic, "Div"),
    "ADD_N": partial(_same, "Sum"),
    "MAXIMUM": partial(_same, "Max"),
    "MINIMUM": partial(_same, "Min"),
    "POW": partial(_same, "Pow"),
    "ABS": partial(_same, "Abs"),
    "NEG": partial(_same, "Neg"),
    "EXP": partial(_same, "Exp"),
    "LOG": partial(_same, "Log"),
    "SQRT": partial(_same, "Sqrt"),
    "SIN": partial(_same, "Sin"),
    "COS": partial(_same, "Cos"),
    "FLOOR": partial(_same, "Floor"),
    "CEIL": partial(_same, "Ceil"),
    "ROUND": partial(_same, "Round"),
    "RELU": partial(_same, "Relu"),
    "ELU": partial(_same, "Elu"),
    "TANH": partial(_same, "Tanh"),
    "LOGISTIC": partial(_same, "Sigmoid"),
    "RELU6": partial(_clipped, 0, 6),
    "RELU_N1_TO_1": partial(_clipped, -1, 1),
    "RELU_0_TO_1": partial(_clipped, 0, 1),
    "PRELU": prelu,
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": log_softmax,
    "LEAKY_RELU": leaky_relu,
    "GELU": gelu,
    "HARD_SWISH": hard_swish,
    "RSQRT": rsqrt,
    "SQUARE": square,
    "SQUARED_DIFFERENCE": squared_difference,
    "L2_NORMALIZATION": l2_normalization,
    "CAST": cast,
    "GREATER": partial(_same, "Greater"),
    "GREATER_EQUAL": partial(_same, "GreaterOrEqual"),
    "LESS": partial(_same, "Less"),
    "LESS_EQUAL": partial(_same, "LessOrEqual"),
    "EQUAL": partial(_same, "Equal"),
    "NOT_EQUAL": not_equal,
    "LOGICAL_AND": partial(_same, "And"),
    "LOGICAL_OR": partial(_same, "Or"),
    "LOGICAL_NOT": partial(_same, "Not"),
    "SELECT": select,
    "SELECT_V2": partial(_same, "Where"),
    "FLOOR_MOD": floor_mod,
    "FLOOR_DIV": floor_div,
    "SIGN": partial(_same, "Sign"),
}
