"""Channel pruning: channels are gone from the file, in whole multiples, and outputs stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgebuild.nn import checkpoint
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.source import Source
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import TensorSpec
from edgebuild.steps.prune_channels import PruneChannels
from tests import tiny

Shapes = dict[str, list[int]]


def shapes(folder: Path) -> Shapes:
    return {name: list(tensor.shape) for name, tensor in load_file(folder / checkpoint.WEIGHTS).items()}


@pytest.fixture
def prune(made: tiny.Made, tmp_path: Path) -> Callable[[PruneChannels], Shapes]:
    """Prune the tiny model and give the shapes in the file."""

    def run(step: PruneChannels) -> Shapes:
        return shapes(tiny.perform(step, tmp_path / "out", {"model": ("torch", made["float"])}))

    return run


def test_half_the_channels_are_gone_from_every_tensor_that_had_them(made: tiny.Made) -> None:
    found = shapes(made["pruned"])
    assert found["stem.weight"] == [8, 1, 3, 3]
    assert found["blocks.0.conv1.weight"] == [16, 8, 3, 3]
    assert found["blocks.0.conv2.weight"] == [16, 16, 3, 3]
    assert found["blocks.0.norm1.running_mean"] == [16]
    assert found["blocks.1.conv2.weight"] == [32, 32, 3, 3]
    assert found["spread.weight"] == [32, 32, 3, 3]
    assert found["head.weight"] == [4, 32]
    assert found["head.bias"] == [4]


def test_what_is_added_together_keeps_the_same_channels(made: tiny.Made) -> None:
    whole, pruned = (load_file(made[name] / checkpoint.WEIGHTS) for name in ("float", "pruned"))

    def kept(name: str) -> list[int]:
        rows = [whole[name][k] for k in range(len(whole[name]))]
        return [next(k for k, row in enumerate(rows) if torch.equal(row, value)) for value in pruned[name]]

    assert kept("blocks.0.norm2.weight") == kept("blocks.0.shortcut.bias")


def test_the_channels_of_least_norm_go(made: tiny.Made) -> None:
    """`spread` stands alone in its group: its kernels, its biases and the head's columns decide."""
    whole, pruned = (load_file(made[name] / checkpoint.WEIGHTS) for name in ("float", "pruned"))
    left = {tuple(bias.tolist()) for bias in pruned["spread.bias"][:, None]}
    stays = torch.tensor([(float(bias),) in left for bias in whole["spread.bias"]])
    norms = whole["spread.weight"].flatten(1).norm(dim=1)
    assert int(stays.sum()) == 32
    assert norms[stays].mean() > norms[~stays].mean()


@pytest.mark.parametrize(
    ("ratio", "round_to", "left"),
    [(0.25, 1, (12, 24)), (0.3, 1, (11, 22)), (0.3, 4, (8, 20)), (0.3, 8, (8, 16)), (0.01, 8, (8, 24))],
)
def test_what_is_left_is_rounded_down_to_a_multiple(
    prune: Callable[[PruneChannels], Shapes], ratio: float, round_to: int, left: tuple[int, int]
) -> None:
    found = prune(PruneChannels(ratio=ratio, round_to=round_to))
    assert (found["stem.weight"][0], found["blocks.0.conv1.weight"][0]) == left
    assert all(shape[0] % round_to == 0 for name, shape in found.items() if shape and not name.startswith("head"))


def test_layers_named_in_keep_keep_their_channels(prune: Callable[[PruneChannels], Shapes]) -> None:
    found = prune(PruneChannels(round_to=8, keep=("stem", "blocks.0.conv1")))
    assert found["stem.weight"][0] == 16
    assert found["blocks.0.conv1.weight"][0] == 32
    assert found["spread.weight"][0] == 32


def test_layers_no_larger_than_the_multiple_stay_whole(prune: Callable[[PruneChannels], Shapes]) -> None:
    found = prune(PruneChannels(round_to=16))
    assert found["stem.weight"][0] == 16
    assert found["blocks.0.conv1.weight"][0] == 16


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (
            PruneChannels(ratio=0.5, round_to=64),
            "prune_channels: no channel can be removed at ratio 0.5 with round_to 64 (raise the ratio, or lower ",
        ),
        (
            PruneChannels(ratio=0.6, round_to=8, keep=()),
            "prune_channels: ratio 0.6 with round_to 8 would remove all 16 channels of 'stem' "
            "(lower the ratio or round_to, or name the layer in keep)",
        ),
        (
            PruneChannels(ratio=0.999, round_to=1, keep=("stem",)),
            "prune_channels: ratio 0.999 with round_to 1 would remove all 64 channels of 'spread'",
        ),
        (
            PruneChannels(keep=("block.0.conv1",)),
            "prune_channels.keep: the model has no layer 'block.0.conv1' (did you mean 'blocks.0.conv1'? known: ",
        ),
        (PruneChannels(keep=("",)), "prune_channels.keep: the model has no layer ''"),
    ],
)
def test_what_cannot_be_pruned_is_refused(
    prune: Callable[[PruneChannels], Shapes], step: PruneChannels, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        prune(step)
    assert caught.value.line.startswith(told)


NETS = {
    "softmax at the end": "return torch.log_softmax(self.head(x), 1)",
    "scaled and shaped": "return (self.head(x) * 2 + 1).reshape(-1, 4)",
    "two heads summed": "return self.head(x) + self.other(x)",
    "two outputs": "return self.head(x), self.other(x)",
}


def saved(folder: Path, body: str, shape: tuple[int, ...] = (16,)) -> Path:
    (folder / "source").mkdir()
    (folder / "source" / "model.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class N(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.first, self.head, self.other = nn.Linear(16, 32), nn.Linear(32, 4), nn.Linear(32, 4)\n"
        "    def forward(self, x):\n"
        "        x = torch.relu(self.first(x))\n"
        f"        {body}\n"
        "def build():\n    return N()\n"
    )
    source, inputs = Source(folder / "source", "models/m"), (TensorSpec("x", shape),)
    (folder / "model").mkdir()
    checkpoint.save(Checkpoint(source.build("build", inputs), source, "build", inputs), folder / "model")
    return folder / "model"


@pytest.mark.parametrize("end", NETS)
def test_outputs_keep_their_shape_whatever_stands_behind_the_last_layer(tmp_path: Path, end: str) -> None:
    model = saved(tmp_path, NETS[end])
    found = shapes(tiny.perform(PruneChannels(round_to=4), tmp_path / "out", {"model": ("torch", model)}))
    assert (found["first.weight"], found["head.weight"]) == ([16, 16], [4, 16])


def test_a_model_whose_shapes_are_written_into_its_code_is_refused(tmp_path: Path) -> None:
    model = saved(tmp_path, "return self.head(x.reshape(-1, 2, 16).reshape(-1, 32))")
    with pytest.raises(UsageError, match=r"^prune_channels: the model's channels cannot be pruned: .*RuntimeError"):
        tiny.perform(PruneChannels(round_to=4), tmp_path / "out", {"model": ("torch", model)})


def test_a_model_of_two_inputs_is_pruned(pair: tiny.Made) -> None:
    found = shapes(pair["pruned"])
    assert (found["seen.weight"], found["known.weight"], found["head.weight"]) == ([8, 1, 3, 3], [8, 5], [2, 16])
