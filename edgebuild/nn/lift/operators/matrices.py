"""Products of matrices: linear layers where one of the two is a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def matrix_product(call: Call) -> Any:
    """A linear layer with the bias that is added behind it, where the right side is a constant matrix."""
    import torch
    from torch import nn

    if not (call.is_constant(1) and call.rank(1) == 2 and call.is_learnable(1)):
        return call.emit(torch.matmul, call.tensor(0), call.tensor(1))
    weight = call.array(1)
    adder, bias = _added(call, weight.shape[1])
    layer = nn.Linear(weight.shape[0], weight.shape[1], bool(bias), device="meta")
    layer.weight = call.derived(weight.T)
    if bias:
        layer.bias = call.derived(call.build.arrays[bias].reshape(-1))
    result = call.layer(layer, 1, bias, call.tensor(0))
    call.absorbed = {adder: result} if bias else {}
    return result


def _added(call: Call, width: int) -> tuple[str, str]:
    """The output of the node that adds a constant to each feature, and that constant; empty where none does."""
    reader = call.build.only_reader(call.node.output[0])
    if reader is None or reader.op_type != "Add" or reader.domain not in ("", "ai.onnx"):
        return "", ""
    other = reader.input[0] if reader.input[1] == call.node.output[0] else reader.input[1]
    if other not in call.build.arrays:
        return "", ""
    values = call.build.arrays[other]
    if values.size != width or values.shape[-1:] != (width,) or values.ndim > call.rank(0):
        return "", ""
    return str(reader.output[0]), str(other)


def general_product(call: Call) -> Any:
    """α A′ B′ + β C: a linear layer where B and C are constants."""
    import torch
    from torch import nn

    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    values = call.tensor(0)
    if call.integer("transA"):
        values = call.emit(torch.t, values)
    width = call.shape(1)[0 if call.integer("transB") else 1]
    if not (call.is_constant(1) and call.is_learnable(1) and _is_bias(call, width)):
        added = call.tensor(2) if call.has(2) else None
        return call.emit(affine, values, call.tensor(1), added, bool(call.integer("transB")), alpha, beta)
    weight = call.array(1) if call.integer("transB") else call.array(1).T
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=call.has(2), device="meta")
    plain = alpha == 1 and bool(call.integer("transB"))
    layer.weight = call.parameter(1) if plain else call.derived(_times(weight, alpha))
    if call.has(2):
        layer.bias = call.parameter(2) if _is_plain(call, width, beta) else call.derived(_row(call, width, beta))
    return call.layer(layer, 1, 2, values)


def _is_bias(call: Call, width: int) -> bool:
    if not call.has(2):
        return True
    return call.is_constant(2) and call.array(2).size in (1, width) and call.shape(2)[-1:] in ((), (1,), (width,))


def _is_plain(call: Call, width: int, beta: float) -> bool:
    return beta == 1 and call.shape(2) == (width,)


def _times(values: np.ndarray[Any, Any], factor: float) -> np.ndarray[Any, Any]:
    return (values * factor).astype(values.dtype)


def _row(call: Call, width: int, beta: float) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.broadcast_to(_times(call.array(2), beta).reshape(-1), (width,))


def affine(one: Tensor, other: Tensor, added: Tensor | None, turned: bool, alpha: float, beta: float) -> Tensor:
    """α A B′ + β C."""
    import torch

    result = torch.matmul(one, other.t() if turned else other)
    result = result if alpha == 1 else result * alpha
    if added is None:
        return result
    return result + (added if beta == 1 else added * beta)


def einsum(call: Call) -> Any:
    """Any product of tensors, as Einstein's sum convention writes it."""
    import torch

    equation = call.word("equation").replace(" ", "")
    return call.emit(torch.einsum, equation, *[call.tensor(place) for place in range(call.count)])


def determinant(call: Call) -> Any:
    """Of square matrices."""
    import torch

    return call.emit(torch.linalg.det, call.tensor(0))


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "Det": determinant,
    "Einsum": einsum,
    "Gemm": general_product,
    "MatMul": matrix_product,
}
