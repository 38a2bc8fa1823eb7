"""Weights of the user: taken as they are, or refused with the first tensor that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgebuild.nn import checkpoint
from edgebuild.spec.model import TensorSpec
from edgebuild.stages.import_weights import ImportWeights
from tests import tiny

Refuse = Callable[..., str]

NET = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3))\n"
STEP = ImportWeights("build", (TensorSpec("x", (2, 3)),), 3, origin="models/m", shown="models/m/w.safetensors")
GOOD = {"1.weight": torch.arange(18.0).reshape(3, 6), "1.bias": torch.ones(3)}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An empty folder for the weights file."""
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_weights_that_fit_are_taken_bit_for_bit(source: Callable[[str], Path], weights: Path, tmp_path: Path) -> None:
    save_file(GOOD, weights / "weights.safetensors")
    output = tiny.perform(STEP, tmp_path / "output", {"source": ("", source(NET)), "weights": ("", weights)})
    kept = load_file(output / checkpoint.WEIGHTS)
    assert kept.keys() == GOOD.keys()
    assert all(torch.equal(kept[name], GOOD[name]) for name in GOOD)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"1.weight": torch.ones(6, 3)}, "tensor '1.weight' is [6, 3] in the file and [3, 6] in the model"),
        ({"1.bias": None}, "tensor '1.bias' is absent in the file and [3] in the model"),
        ({"extra": torch.ones(1)}, "tensor 'extra' is [1] in the file and absent in the model"),
        (
            {"1.weight": torch.ones(1), "1.bias": torch.ones(1)},
            "tensor '1.bias' is [1] in the file and [3] in the model",
        ),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    refusal: Refuse, weights: Path, change: dict[str, torch.Tensor | None], told: str
) -> None:
    tensors = {name: tensor for name, tensor in (GOOD | change).items() if tensor is not None}
    save_file(tensors, weights / "weights.safetensors")
    assert refusal(STEP, NET, weights=weights) == f"models/m/w.safetensors: {told}"


def test_a_truncated_file_is_refused(refusal: Refuse, weights: Path) -> None:
    file = weights / "weights.safetensors"
    save_file(GOOD, file)
    whole = file.read_bytes()
    for length in (0, 4, 8, 60, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert refusal(STEP, NET, weights=weights).startswith(
            "models/m/w.safetensors: not a readable safetensors file: "
        )


def test_a_pickle_is_refused_and_not_run(refusal: Refuse, weights: Path) -> None:
    torch.save(GOOD, weights / "weights.safetensors")
    assert "not a readable safetensors file" in refusal(STEP, NET, weights=weights)


def test_a_model_with_other_classes_is_refused(refusal: Refuse, weights: Path) -> None:
    save_file(GOOD, weights / "weights.safetensors")
    told = "models/m/model.py: build(): its model answers [2, 3] to 2 examples, not [2, 10]: one value for each of "
    assert refusal(ImportWeights("build", STEP.inputs, 10, origin="models/m"), NET, weights=weights).startswith(told)
