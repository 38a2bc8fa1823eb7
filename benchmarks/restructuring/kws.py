"""The keyword net of MLPerf Tiny (DS-CNN) as a torch module, with the weights of its public int8 file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Keywords(nn.Module):
    """Ten by four points, four separable layers of 64 channels, mean, linear; batch norms are folded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 64, (10, 4), 2)
        pairs = [(nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.Conv2d(64, 64, 1)) for _ in range(4)]
        self.layers = nn.ModuleList([layer for pair in pairs for layer in pair])
        self.head = nn.Linear(64, 12)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 1, 49, 10] → [N, 12]; TensorFlow puts the odd row of zeros behind."""
        x = torch.relu(self.stem(functional.pad(x, (1, 1, 4, 5))))
        for layer in self.layers:
            x = torch.relu(layer(x))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def trained(file: Path | None) -> Keywords:
    """With the weights of the int8 file in floats, or drawn ones where there is no file."""
    torch.manual_seed(0)
    net = Keywords()
    if file is not None:
        layers: list[Any] = [net.stem, *net.layers, net.head]
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, _weights(file), strict=True):
                layer.weight.copy_(torch.from_numpy(weight).reshape(layer.weight.shape))
                layer.bias.copy_(torch.from_numpy(bias))
    return net.eval()


def _weights(file: Path) -> list[tuple[Any, Any]]:
    """Weights [out, in, …] and biases of the layers, in order."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(file))
    reader = Interpreter(str(file))
    details = {one["index"]: one for one in reader.get_tensor_details()}
    found = []
    for operator in model.subgraphs[0].operators:
        kind = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        if kind in _WEIGHTED:
            weight, bias = (_floats(reader, details[number]) for number in operator.inputs[1:3])
            order = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}.get(kind, (0, 1))
            found.append((np.ascontiguousarray(weight.transpose(order)), bias))
    return found


def _floats(reader: Any, detail: Any) -> Any:
    how = detail["quantization_parameters"]
    values = reader.get_tensor(detail["index"]).astype(np.float32)
    shape = [1] * values.ndim
    if len(how["scales"]) > 1:
        shape[how["quantized_dimension"]] = -1
    return (values - how["zero_points"].reshape(shape)) * how["scales"].reshape(shape).astype(np.float32)
