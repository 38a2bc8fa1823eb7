"""ONNX files to lift: one node with its inputs, and networks as exporters write them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

Array = np.ndarray[Any, Any]


def one_node(
    kind: str,
    inputs: Sequence[Array | None],
    opset: int = 20,
    outputs: int = 1,
    constant: Sequence[int] = (),
    **attributes: Any,
) -> tuple[bytes, tuple[Array, ...]]:
    """A file of one node, and what it is to be given; inputs of these places are constants, None is left out.

    `kind` may name another domain, as domain::kind.
    """
    domain, _, kind = kind.rpartition("::")
    names = ["" if value is None else f"x{place}" for place, value in enumerate(inputs)]
    node = helper.make_node(
        kind, names, [f"y{k}" for k in range(outputs)], name="the_node", domain=domain, **attributes
    )
    pairs = [(place, value) for place, value in enumerate(inputs) if value is not None]
    held = [numpy_helper.from_array(value, f"x{place}") for place, value in pairs if place in constant]
    open_ones = [(place, value) for place, value in pairs if place not in constant]
    fed = [
        helper.make_tensor_value_info(f"x{place}", helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for place, value in open_ones
    ]
    return model([node], fed, [f"y{k}" for k in range(outputs)], held, opset), tuple(v for _, v in open_ones)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    constants: Sequence[onnx.TensorProto] = (),
    opset: int = 20,
) -> bytes:
    """A file of these nodes."""
    named = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), named, list(constants))
    domains = dict.fromkeys(node.domain for node in nodes)
    made: bytes = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains if name)],
        ir_version=8,
    ).SerializeToString()
    return made


def picture(name: str = "x", *shape: int | str) -> onnx.ValueInfoProto:
    """A float input."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape or ("batch", 3, 8, 8))


def exported(module: nn.Module, *example: torch.Tensor, dynamo: bool = False, opset: int = 17) -> bytes:
    """A network as an exporter of torch writes it: the older one by default, for it takes a tenth of the time."""
    file = io.BytesIO()
    names = [f"x{place}" for place in range(len(example))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module.eval(), example, dynamo=True, verbose=False, opset_version=20)
            assert program is not None
            written: bytes = program.model_proto.SerializeToString()
            return written
        torch.onnx.export(
            module.eval(),
            example,
            file,
            dynamo=False,
            opset_version=opset,
            input_names=names,
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return file.getvalue()
