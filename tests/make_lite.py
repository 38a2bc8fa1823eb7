"""Writes tiny .tflite models and what torch says about them into a folder: `python make_lite.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))  # type: ignore[no-any-return]


class Twelve(nn.Module):
    """Twelve arguments of the same shape and twelve results: only the right order gives the right numbers."""

    def forward(self, *xs: Tensor) -> tuple[Tensor, ...]:
        return tuple(x * (k + 1) for k, x in enumerate(xs))


class Tokens(nn.Module):
    """Embedding of int32 tokens, plus a float argument."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, tokens: Tensor, x: Tensor) -> Tensor:
        return self.table(tokens).sum(1) - x  # type: ignore[no-any-return]


def quantize(source: Path, target: Path, x: Tensor) -> None:
    """Static int8 with int8 input and output, by rewriting the float model."""
    from ai_edge_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    data = {"serving_default": [{"args_0": row[None].numpy()} for row in x]}
    tool.quantize(tool.calibrate(data)).export_model(str(target), overwrite=True)


def open_batch(source: Path, target: Path) -> None:
    """The same model with an open first dimension (litert-torch 0.10 cannot convert one)."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(source.read_bytes())
    graph = model.subgraphs[0]
    for index in (*graph.inputs, *graph.outputs):
        graph.tensors[index].shapeSignature = [-1, *graph.tensors[index].shape[1:]]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(bytes(builder.Output()))


def main(folder: Path) -> None:
    import litert_torch

    torch.manual_seed(0)
    x, tokens = torch.randn(16, 4), torch.randint(0, 10, (16, 5), dtype=torch.int32)
    mlp, twelve, embed = Mlp().eval(), Twelve().eval(), Tokens().eval()
    litert_torch.convert(mlp, (x[:1],)).export(str(folder / "mlp.tflite"))
    litert_torch.convert(mlp, (x[:4],)).export(str(folder / "mlp4.tflite"))
    open_batch(folder / "mlp.tflite", folder / "open.tflite")
    # Twelve tensors, not one twelve times: torch.export would take the arguments for the same one.
    samples = tuple(torch.randn(1, 4) for _ in range(12))
    litert_torch.convert(twelve, samples).export(str(folder / "twelve.tflite"))
    litert_torch.convert(embed, (tokens[:1], x[:1])).export(str(folder / "tokens.tflite"))
    quantize(folder / "mlp.tflite", folder / "int8.tflite", x)
    with torch.no_grad():
        found = {"x": x, "tokens": tokens, "mlp": mlp(x), "embed": embed(tokens, x)}
    np.savez(folder / "torch.npz", **{name: value.numpy() for name, value in found.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
