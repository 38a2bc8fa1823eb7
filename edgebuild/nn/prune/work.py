"""The layers of a module as what their time depends on: each weight's shape, and what it is multiplied with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.evidence import LayerShape

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

    from edgebuild.nn.prune.trace.parts import Part

    Example = tuple[Tensor, ...]

_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_PRODUCTS = {"mm": (0, 1), "matmul": (0, 1), "addmm": (1, 2)}  # places of the two factors among the arguments


@dataclass(frozen=True, slots=True)
class LayerWork:
    """One use of a weight; `outward` and `inward` are the weight's axes of outputs and of inputs."""

    parameter: str
    outward: int
    inward: int
    shape: LayerShape


def layer_work(module: nn.Module, example: Example) -> tuple[LayerWork, ...]:
    """Every convolution, linear, recurrent layer and product with a weight of one example, in order.

    A recurrent layer counts as the products of its weights. Of a module that cannot be exported as a whole, those of
    the parts that can. UsageError where there are none.
    """
    from edgebuild.nn.prune.trace.follow import canonical
    from edgebuild.nn.prune.trace.parts import exported

    names = canonical(module)
    return tuple(one for part in exported(module, example).parts for one in _of_part(part, names))


def _of_part(part: Part, names: Mapping[str, str]) -> Iterator[LayerWork]:
    signature = part.program.graph_signature
    kinds = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    full = {name: part.full(parameter) for name, parameter in kinds.items()}
    weights = {name: names.get(parameter, parameter) for name, parameter in full.items()}
    for node in part.program.graph.nodes:
        yield from (_scaled(one, part.batch) for one in _of(node, weights))


def _scaled(one: LayerWork, batch: int) -> LayerWork:
    """Of one example: a product's rows hold the batch, a convolution's places do not."""
    if one.shape.kind != "product":
        return one
    rows = max(1, one.shape.places[0] // batch)
    shape = one.shape
    return LayerWork(
        one.parameter, one.outward, one.inward, LayerShape("product", shape.inputs, shape.outputs, (rows,))
    )


def _of(node: fx.Node, weights: dict[str, str]) -> Iterator[LayerWork]:
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return
    name = schema.name.partition("::")[2]
    if name.startswith("conv"):
        yield from _convolution(node, name, schema, weights)
    elif name == "linear":
        value, weight = node.args[:2]
        if (parameter := _weight(weight, weights)) is not None and len(_shape(weight)) == 2:
            outputs, inputs = _shape(weight)
            yield _product(parameter, 0, 1, inputs, outputs, math.prod(_shape(value)[:-1]))
    elif name in _PRODUCTS:
        value, weight = (node.args[place] for place in _PRODUCTS[name])
        if (parameter := _weight(weight, weights)) is not None and len(_shape(weight)) == 2:
            inputs, outputs = _shape(weight)
            turned = _is_turned(weight)
            yield _product(parameter, int(not turned), int(turned), inputs, outputs, math.prod(_shape(value)[:-1]))
    elif name in _RECURRENT:
        value = node.args[0]
        params: Any = next(one for one in node.args if isinstance(one, list | tuple) and len(one) > 1)
        for weight in params:
            if (parameter := _weight(weight, weights)) is not None and len(_shape(weight)) == 2:
                outputs, inputs = _shape(weight)
                yield _product(parameter, 0, 1, inputs, outputs, math.prod(_shape(value)[:-1]))


def _product(parameter: str, outward: int, inward: int, inputs: int, outputs: int, rows: int) -> LayerWork:
    return LayerWork(parameter, outward, inward, LayerShape("product", inputs, outputs, (rows,)))


def _convolution(node: fx.Node, name: str, schema: Any, weights: dict[str, str]) -> Iterator[LayerWork]:
    arguments = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    arguments |= dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | dict(node.kwargs)
    weight = arguments["weight"]
    parameter = _weight(weight, weights)
    if parameter is None:
        return
    first, second, *kernel = _shape(weight)
    groups, space = arguments.get("groups", 1), len(kernel)
    turned = name.startswith("conv_transpose") or bool(arguments.get("transposed"))
    dilation = _each(arguments["dilation"], space)
    padding = arguments["padding"]
    if isinstance(padding, str):
        padding = [d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    inputs, outputs = (first, second * groups) if turned else (second * groups, first)
    shape = LayerShape(
        "transposed" if turned else "convolution",
        inputs,
        outputs,
        tuple(_shape(arguments["input"])[-space:]),
        groups,
        tuple(kernel),
        _each(arguments["stride"], space),
        _each(padding, space),
        dilation,
    )
    yield LayerWork(parameter, int(turned), int(not turned), shape)


def _each(value: Any, space: int) -> tuple[int, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    return many * space if len(many) == 1 else many


def _weight(node: Any, weights: dict[str, str]) -> str | None:
    """The parameter that a node is, or a part or a transpose of."""
    while node.op == "call_function" and len(node.all_input_nodes) == 1:
        (node,) = node.all_input_nodes
    return weights.get(node.name) if node.op == "placeholder" else None


def _is_turned(node: Any) -> bool:
    """Whether a factor is the transpose of its parameter."""
    return node.op == "call_function" and str(node.target).split(".")[1] in ("t", "permute", "transpose")


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)
