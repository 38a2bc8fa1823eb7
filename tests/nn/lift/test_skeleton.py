"""A lifted network as an artifact: the file without its weights, and these in safetensors; pruned sizes survive."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn import checkpoint
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.lift import lift, skeleton
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.prune.channels import inventory
from edgebuild.spec.signature import TensorSpec
from tests.nn.hard_nets import NETS
from tests.nn.lift.files import exported
from tests.nn.nets import lively

CODE = """
from pathlib import Path
from edgebuild.nn.lift import lift

def build():
    return lift(Path(__file__).with_name("skeleton.onnx").read_bytes())
"""


def example(shape: tuple[int, ...], batch: int = 1) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["gain", "split", "recurrent"])
def test_a_skeleton_gives_the_same_module_without_its_weights(name: str) -> None:
    make, shape = NETS[name]
    file = exported(lively(make()), example(shape))
    bones = skeleton(file)
    assert len(bones) < 0.6 * len(file)
    whole, bare = lift(file), lift(bones)
    assert bare.source == whole.source
    weights = {key: value.shape for key, value in whole.state_dict().items()}
    assert {key: value.shape for key, value in bare.state_dict().items()} == weights
    assert not torch.equal(bare(example(shape)), whole(example(shape)))
    bare.load_state_dict(whole.state_dict())
    assert torch.equal(bare(example(shape, 2)), whole(example(shape, 2)))


@pytest.mark.parametrize("name", ["gain", "shuffle", "squeezed"])
def test_a_pruned_lifted_network_is_a_checkpoint_like_any_other(tmp_path: Path, name: str) -> None:
    make, shape = NETS[name]
    file = exported(lively(make()), example(shape))
    origin, saved = tmp_path / "origin", tmp_path / "saved"
    origin.mkdir()
    saved.mkdir()
    (origin / "model.py").write_text(CODE)
    (origin / "skeleton.onnx").write_bytes(skeleton(file))
    module = _pruned(lift(file), (example(shape),))
    inputs = (TensorSpec("x0", shape),)
    checkpoint.save(Checkpoint(module, ModelCode(origin, "models/lifted"), "build", inputs), saved)
    loaded = checkpoint.load(saved).module
    assert sum(p.numel() for p in loaded.parameters()) < 0.8 * sum(p.numel() for p in lift(file).parameters())
    assert torch.equal(loaded(example(shape, 3)), module(example(shape, 3)))


def _pruned(module: nn.Module, given: tuple[Tensor, ...]) -> nn.Module:
    found = inventory(module.requires_grad_(True), given, [], 1)
    found.remove(module, [(unit, [*range(0, len(unit.members), 2)]) for unit in found.units])
    return module.eval()
