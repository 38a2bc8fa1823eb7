"""A transformer with an outlier in one channel of its layer norms, as large ones have them, and rows to calibrate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import dataset
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import TensorSpec

CODE = """
import torch
from torch import nn
class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            16, 2, 32, norm_first={first}, batch_first=True, activation="gelu", dropout=0.0)
        self.head = nn.Linear(16, 3)
    def forward(self, x):
        return {end}
def build():
    return N()
"""


def write(folder: Path, first: bool = True, end: str = "self.head(self.layer(x).mean(1))") -> tuple[Path, Path]:
    """(model, data) below `folder`."""
    source, model, data = folder / "source", folder / "model", folder / "data"
    for path in (source, model, data):
        path.mkdir()
    (source / "model.py").write_text(CODE.format(first=first, end=end))
    taken, inputs = ModelCode(source, "models/m"), (TensorSpec("x", (6, 16)),)
    torch.manual_seed(0)
    module = taken.build("build", inputs)
    with torch.no_grad():
        for norm in (module.layer.norm1, module.layer.norm2):
            norm.weight[3] = 60
        for weight in (module.layer.self_attn.in_proj_weight, module.layer.linear1.weight):
            weight[:, 3] /= 60
    checkpoint.save(checkpoint.Checkpoint(module, taken, "build", inputs), model)
    x = np.random.default_rng(0).normal(size=(128, 6, 16)).astype(np.float32)
    for split in ("train", "validation", "test"):
        dataset.write(data, split, Split((x,), (np.zeros(128, np.int64),)))
    return model, data
