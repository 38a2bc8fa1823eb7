"""What a model weighs: bytes of the file, parameters and multiply-accumulates as counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import evidence
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.evidence.footprint import Footprint, macs
from tests import tiny
from tests.steps.evidence import folders


def of(module: nn.Module, *shape: int) -> Checkpoint:
    """A checkpoint of a module, never written."""
    return Checkpoint(module.eval(), ModelCode(Path(), "here"), "build", (TensorSpec("x", shape),), None)


def test_a_convolutional_net_has_the_products_that_one_counts_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),  # 36 places × 4 channels × 9
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False),  # 9 places × 8 channels × 9 × 2
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    assert macs(of(net, 1, 6, 6)) == 36 * 4 * 9 + 9 * 8 * 9 * 2 + 8 * 3


class Attention(nn.Module):
    """Products without a layer: a linear one and twice the attention's."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return torch.nn.functional.scaled_dot_product_attention(y, y, y)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (Attention(), (5, 8), 5 * 8 * 8 + 2 * 5 * 5 * 8),
        (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            (5, 8),
            4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16,
        ),
        (nn.LSTM(5, 7, batch_first=True), (3, 5), 3 * 4 * 7 * (5 + 7)),
        (nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 4, 4), 16 * 2 * 3 * 4),
        (nn.Sequential(nn.ReLU(), nn.Flatten()), (4,), 0),
    ],
    ids=["attention", "transformer", "lstm", "transposed", "none"],
)
def test_products_inside_fused_kernels_and_functions_are_counted(
    module: nn.Module, shape: tuple[int, ...], expected: int
) -> None:
    assert macs(of(module, *shape)) == expected


def test_the_step_weighs_the_file_and_the_torch_model_of_candidate_and_baseline(
    made: tiny.Made, tmp_path: Path
) -> None:
    inputs = {
        "candidate": ("tflite", made["tflite-int8"]),
        "candidate_model": ("torch", made["pruned"]),
        "baseline": ("onnx", made["onnx"]),
        "baseline_model": ("torch", made["float"]),
    }
    weights = folders.read(evidence.Footprint, tiny.perform(Footprint(), tmp_path / "out", inputs))
    stem, first, second = 9 * 16, 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32, 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    spread, head = 9 * 64 * 64, 64 * 4
    biases = 16 + (2 * 64 + 32) + (2 * 128 + 64) + 64 + 4  # of convolutions, of normalization (two each), of the head
    assert weights.baseline == evidence.Weight(
        bytes=made.file("onnx").stat().st_size,
        download=made.file("onnx").stat().st_size,
        parameters=stem + first + second + spread + head + biases,
        macs=144 * stem + 36 * first + 9 * second + 1 * spread + head,
    )
    assert weights.candidate.bytes == made.file("tflite-int8").stat().st_size
    assert weights.candidate.parameters < 0.6 * weights.baseline.parameters
    assert weights.candidate.macs < 0.6 * weights.baseline.macs


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_of_a_model_that_comes_as_a_file_the_format_counts(made: tiny.Made, tmp_path: Path, name: str) -> None:
    file, torch_model = (name, made[name]), ("torch", made["float"])
    inputs = {"candidate": file, "candidate_model": file, "baseline": file, "baseline_model": torch_model}
    weights = folders.read(evidence.Footprint, tiny.perform(Footprint(), tmp_path / "out", inputs))
    assert weights.candidate.macs == weights.baseline.macs
    folded = 2 * (64 + 32 + 128 + 64)  # of normalization, into the convolutions before it
    assert 0 <= weights.baseline.parameters - weights.candidate.parameters <= folded


def test_the_download_of_a_coded_file_is_what_travels(made: tiny.Made, tmp_path: Path) -> None:
    coded = made["onnx-encoded"]
    inputs = {"candidate": ("onnx", coded), "baseline": ("onnx", made["onnx"])}
    models = {f"{role}_model": ("torch", made["float"]) for role in inputs}
    weights = folders.read(evidence.Footprint, tiny.perform(Footprint(), tmp_path / "out", inputs | models))
    assert weights.candidate.bytes == made.file("onnx").stat().st_size
    assert weights.candidate.download == (coded / "model.onnx.edz").stat().st_size < weights.candidate.bytes
