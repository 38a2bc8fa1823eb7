"""Channel pruning: channels are gone from the file, in whole multiples, and outputs stay what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgebuild.nn import checkpoint, records
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.prune import importance, sensitivity
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.prune.slimming import Slimming, penalized
from edgebuild.spec import dataset, notes
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.prune_weights import PruneWeights
from tests import tiny
from tests.steps.techniques import nets

HEADS = (Head("output", "classification"),)

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


# Of 16 (once), 32 (twice) and 64 (thrice): what `ratio` leaves, and which counts come nearest without taking more.
@pytest.mark.parametrize(
    ("ratio", "round_to", "left"),
    [(0.25, 1, (12, 24)), (0.3, 1, (11, 22)), (0.3, 4, (12, 24)), (0.3, 8, (8, 24)), (0.6, 8, (8, 16))],
)
def test_what_is_left_is_the_nearest_multiple_that_takes_no_more_than_was_asked(
    prune: Callable[[PruneChannels], Shapes], tmp_path: Path, ratio: float, round_to: int, left: tuple[int, int]
) -> None:
    found = prune(PruneChannels(ratio=ratio, round_to=round_to))
    assert (found["stem.weight"][0], found["blocks.0.conv1.weight"][0]) == left
    assert all(shape[0] % round_to == 0 for name, shape in found.items() if shape and not name.startswith("head"))
    record = json.loads((tmp_path / "out" / records.FILE).read_text())
    taken, sizes = record["taken"]["channels"], [*record["left"].values()]
    assert taken["asked"] == pytest.approx(ratio)
    assert taken["taken"] == pytest.approx(1 - sum(stay for stay, _ in sizes) / sum(size for _, size in sizes))
    assert taken["taken"] <= ratio + 1e-9
    told = [line for line in notes.read(tmp_path / "out") if f"asked for {ratio:.1%} of the channels, took" in line]
    assert len(told) == (abs(taken["taken"] - ratio) >= 0.005)


def test_layers_named_in_keep_keep_their_channels(prune: Callable[[PruneChannels], Shapes]) -> None:
    found = prune(PruneChannels(round_to=8, keep=("stem", "blocks.0.conv1")))
    assert found["stem.weight"][0] == 16
    assert found["blocks.0.conv1.weight"][0] == 32
    assert found["spread.weight"][0] == 32


def test_a_ratio_of_nearly_all_leaves_one_multiple_of_each_layer(prune: Callable[[PruneChannels], Shapes]) -> None:
    found = prune(PruneChannels(ratio=0.99, round_to=4))
    assert {found[f"{name}.weight"][0] for name in ("stem", "blocks.0.conv1", "blocks.1.conv2", "spread")} == {4}


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
        (PruneChannels(ratio=0.01, round_to=8), "prune_channels: no channel can be removed at ratio 0.01 with round"),
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
    source, inputs = ModelCode(folder / "source", "models/m"), (TensorSpec("x", shape),)
    (folder / "model").mkdir()
    checkpoint.save(Checkpoint(source.build("build", inputs), source, "build", inputs), folder / "model")
    return folder / "model"


@pytest.mark.parametrize("end", NETS)
def test_outputs_keep_their_shape_whatever_stands_behind_the_last_layer(tmp_path: Path, end: str) -> None:
    model = saved(tmp_path, NETS[end])
    found = shapes(tiny.perform(PruneChannels(round_to=4), tmp_path / "out", {"model": ("torch", model)}))
    assert (found["first.weight"], found["head.weight"]) == ([16, 16], [4, 16])


def test_a_model_of_which_nothing_can_be_followed_is_refused_with_what_was_in_the_way(tmp_path: Path) -> None:
    model = saved(tmp_path, "return self.head(x.reshape(-1, 2, 16).reshape(-1, 32))")
    told = r"^prune_channels: nothing can be removed: 'first' stays whole: without some of its channels .*RuntimeError"
    with pytest.raises(UsageError, match=told) as caught:
        tiny.perform(PruneChannels(round_to=4), tmp_path / "out", {"model": ("torch", model)})
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.line


COUNTED = """
import torch
from torch import nn

class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 10), nn.Conv1d(10, 10, 1, groups=10), nn.Linear(19, 3)
        self.a.weight.data.mul_(torch.arange(1, 11)[:, None])  # the first channels go, and the last one stays

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.c(torch.cat([y, self.b(y[:, :, None])[:, :, 0]], 1)[:, :19])

def build():
    return N()
"""


def test_code_that_counts_on_channels_that_went_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(COUNTED)
    source, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (16,)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(source.build("build", inputs), source, "build", inputs), tmp_path / "model")
    with pytest.raises(UsageError) as refused:
        tiny.perform(PruneChannels(ratio=0.4, round_to=2), tmp_path / "out", {"model": ("torch", tmp_path / "model")})
    assert "the model does not run (RuntimeError: " in refused.value.line


BESIDE = """
class Beside(N):
    def __init__(self):
        super().__init__()
        self.d, self.e = nn.Linear(16, 12), nn.Linear(12, 3)

    def forward(self, x):
        return super().forward(x) + self.e(torch.relu(self.d(x)))

def beside():
    return Beside()
"""


def test_what_the_code_counts_on_stays_whole_and_the_others_go(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(COUNTED + BESIDE)
    source, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (16,)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(source.build("beside", inputs), source, "beside", inputs), tmp_path / "model")
    step = PruneChannels(ratio=0.4, round_to=2)
    tiny.perform(step, tmp_path / "out", {"model": ("torch", tmp_path / "model")})
    left = shapes(tmp_path / "out")
    assert (left["a.weight"], left["d.weight"]) == ([10, 16], [8, 16])
    assert "'a' stays whole: without some of its channels the model does not run" in str(notes.read(tmp_path / "out"))


FEW = """
import torch
from torch import nn

class Few(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.d, self.e = nn.Linear(16, 16), nn.Linear(16, 3), nn.Linear(16, 12), nn.Linear(12, 3)

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.b(y.tanh() if y.shape[1] < 6 else y) + self.e(torch.relu(self.d(x)))
"""


def test_the_channels_that_are_chosen_are_tried_themselves(tmp_path: Path) -> None:
    """Draws of one group leave about half of it, so code that does otherwise for few channels passed."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(FEW)
    source, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (16,)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(source.build("Few", inputs), source, "Few", inputs), tmp_path / "model")
    given = {"model": ("torch", tmp_path / "model")}
    tiny.perform(PruneChannels(ratio=0.75, round_to=1), tmp_path / "out", given)
    left = shapes(tmp_path / "out")
    assert (left["a.weight"], left["d.weight"]) == ([16, 16], [3, 16])
    why = "without its least channels the model does not answer as if they were silent"
    assert f"'a' stays whole: {why}" in str(notes.read(tmp_path / "out"))
    with pytest.raises(UsageError, match=rf"nothing can be removed: 'a' stays whole: {why}"):
        tiny.perform(PruneChannels(ratio=0.75, round_to=1, keep=("d",)), tmp_path / "none", given)


def test_a_model_of_two_inputs_is_pruned(pair: tiny.Made) -> None:
    found = shapes(pair["pruned"])
    assert (found["seen.weight"], found["known.weight"], found["head.weight"]) == ([8, 1, 3, 3], [8, 5], [2, 16])


def perform(builder: str, folder: Path, step: PruneChannels) -> tuple[Path, dict[str, Any]]:
    """Prune an untrained network of another kind: the artifact and its record."""
    model, data = nets.save(builder, folder / "net"), nets.data(builder, folder / "data")
    roles = {"model": ("torch", model), "data": ("data", data)}
    done = tiny.perform(step, folder / "out", {role: roles[role] for role in step.uses()})
    return done, json.loads((done / records.FILE).read_text())


@pytest.mark.parametrize("builder", ["apart", "by_hand", "fused", "Transformer"])
def test_attention_loses_whole_heads_and_the_loaded_model_knows(tmp_path: Path, builder: str) -> None:
    done, record = perform(builder, tmp_path, PruneChannels(ratio=0.25, heads=0.5, round_to=4))
    assert record["left"] == {
        "blocks.0.attention": [2, 4], "blocks.0.inner": [48, 64], "blocks.1.attention": [2, 4],
        "blocks.1.inner": [48, 64], "embed": [24, 32],
    }  # fmt: skip
    model = checkpoint.load(done)
    assert model.module.get_submodule("blocks.0.attention").heads == 2
    assert model.module.get_submodule("blocks.0.attention.out").in_features == 16
    assert model.module(*model.example(3)).shape == (3, 4)


def test_the_exported_file_has_fewer_heads_and_answers_as_the_model(tmp_path: Path) -> None:
    done, _ = perform("Transformer", tmp_path, PruneChannels(ratio=0.25, heads=0.5, round_to=4))
    file = tiny.perform(Convert("onnx"), tmp_path / "onnx", {"model": ("torch", done)}) / "model.onnx"
    graph = onnx.load(file).graph
    sizes = {tuple(sorted(tensor.dims)) for tensor in graph.initializer}
    assert (24, 48) in sizes  # 24 wide, 2 heads of 8 for each of queries, keys and values
    assert not any(96 in dims or 32 in dims for dims in sizes)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    x = torch.randn(1, 6, 8)
    given = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    with torch.no_grad():
        wanted = checkpoint.load(done).module(x)
    assert torch.allclose(torch.from_numpy(given), wanted, atol=1e-5)


def test_inverted_residuals_and_grouped_convolutions_stay_what_they_are(tmp_path: Path) -> None:
    done, record = perform("Depthwise", tmp_path, PruneChannels(round_to=4))
    module = checkpoint.load(done).module
    assert record["left"] == {"grouped": [16, 32], "inverted.0": [16, 32], "stem.0": [8, 16]}
    deep, grouped = module.get_submodule("inverted.3"), module.get_submodule("grouped")
    assert (deep.groups, deep.weight.shape) == (16, (16, 1, 3, 3))
    assert (grouped.groups, grouped.weight.shape) == (4, (16, 2, 3, 3))


@pytest.mark.parametrize(
    ("builder", "left", "named"),
    [
        ("Recurrent", {"first", "second", "inner"}, {}),
        ("Library", {"embed", "layer.self_attn", "layer.linear1"}, {}),
        (
            "Stuck",
            {"blocks.0.inner", "blocks.1.inner", "embed"},
            {f"blocks.{k}.attention": "without some of its heads the model does not run" for k in (0, 1)},
        ),
    ],
)
def test_what_cannot_be_followed_is_left_alone_and_named_and_the_rest_goes(
    tmp_path: Path, builder: str, left: set[str], named: dict[str, str]
) -> None:
    done, record = perform(builder, tmp_path, PruneChannels(round_to=1))
    assert {*record["left"]} == left
    assert all(2 * stay == size for stay, size in record["left"].values())
    for name, why in named.items():
        assert record["whole"][name].startswith(why)
        assert [told for told in notes.read(done) if told.startswith(f"{name!r} stays whole: {why}")]
    assert len([told for told in notes.read(done) if "stays whole" in told]) == len(named)
    model = checkpoint.load(done)
    assert model.module(*model.example(3)).shape == (3, 4)


def test_what_is_named_in_keep_is_no_notice(tmp_path: Path) -> None:
    done, record = perform("Recurrent", tmp_path / "kept", PruneChannels(round_to=1, keep=("first", "second")))
    assert record["left"] == {"inner": [16, 32]}
    assert notes.read(done) == []
    assert record["whole"] == {"first": "named in keep", "second": "named in keep", "head": "it makes an output"}


def test_one_head_stays_whatever_the_ratio(tmp_path: Path) -> None:
    _, record = perform("Transformer", tmp_path, PruneChannels(heads=0.8, round_to=1))
    assert record["left"]["blocks.0.attention"] == [1, 4]


@pytest.mark.parametrize("criterion", get_args(importance.Name))
def test_every_criterion_leaves_a_smaller_model_that_runs(made: tiny.Made, tmp_path: Path, criterion: Any) -> None:
    step = PruneChannels(criterion=criterion, round_to=1, examples=64, keep=("blocks.0.conv1", "blocks.1"))
    roles = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    done = tiny.perform(step, tmp_path / "out", {role: roles[role] for role in step.uses()})
    record = json.loads((done / records.FILE).read_text())
    says = {"batch_norm": {"blocks.0.conv2": [16, 32]}}.get(criterion, {"spread": [32, 64], "stem": [8, 16]})
    assert {name: record["left"][name] for name in says} == says
    if criterion == "batch_norm":
        assert record["whole"]["stem"] == "criterion 'batch_norm' says nothing about it"
    model = checkpoint.load(done)
    assert model.module(*model.example(2)).shape == (2, 4)


def test_a_criterion_that_says_nothing_anywhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="criterion 'apoz' says nothing about any layer"):
        perform("Transformer", tmp_path, PruneChannels(criterion="apoz", round_to=1))


def test_all_layers_compete_and_none_is_emptied(made: tiny.Made, tmp_path: Path) -> None:
    step = PruneChannels(ratio=0.7, scope="global", criterion="batch_norm", round_to=4)
    done = tiny.perform(step, tmp_path / "out", {"model": ("torch", made["float"])})
    record = json.loads((done / records.FILE).read_text())["left"]
    norms = {name: record[name] for name in record if name.startswith("blocks")}
    assert all(left >= 4 and left % 4 == 0 for left, _ in norms.values())
    assert len({left / count for left, count in norms.values()}) > 1
    assert sum(left for left, _ in norms.values()) <= 0.3 * sum(count for _, count in norms.values()) + 4 * len(norms)
    assert sum(left for left, _ in norms.values()) >= 0.3 * sum(count for _, count in norms.values())


def test_a_budget_chooses_ratios_and_keeps_the_evidence(made: tiny.Made, tmp_path: Path) -> None:
    step = PruneChannels(budget=0.05, examples=128, round_to=4)
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    record = json.loads((tiny.perform(step, tmp_path / "out", inputs) / records.FILE).read_text())
    scan = record["sensitivity"]
    assert scan["whole"]["accuracy"] - scan["together"]["accuracy"] <= 0.05
    unlearnt = dataset.validation(made["data"], 128, 0)
    assert scan["whole"] == sensitivity.measure(checkpoint.load(made["float"]).module, unlearnt, HEADS).recorded()
    for name, (left, count) in record["left"].items():
        wanted = count * (1 - scan["ratios"][name])
        assert left % 4 == 0
        assert abs(left - wanted) < 4
    assert record["taken"]["channels"]["taken"] <= record["taken"]["channels"]["asked"] + 1e-9


def test_rounds_with_fine_tuning_leave_fewer_channels_in_the_exported_file(made: tiny.Made, tmp_path: Path) -> None:
    step = PruneChannels(ratio=0.75, round_to=4, schedule=Schedule("iterative", 2, 1, batch_size=32))
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    done = tiny.perform(step, tmp_path / "out", inputs)
    model = checkpoint.load(done)
    assert sensitivity.measure(model.module, dataset.read(made["data"], "test"), HEADS).accuracy > 0.9
    file = tiny.perform(Convert("onnx"), tmp_path / "onnx", {"model": ("torch", done)}) / "model.onnx"
    kernels = {tuple(t.dims) for t in onnx.load(file).graph.initializer if len(t.dims) == 4}
    assert (16, 16, 3, 3) in kernels
    assert max(dims[0] for dims in kernels) == 16  # of 64


def test_slimming_makes_scales_small_and_adds_their_sum_to_the_loss(made: tiny.Made, tmp_path: Path) -> None:
    scales = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([0.5]))]
    plain = penalized(lambda *_: torch.tensor(1.0), scales, 0.1)
    assert plain(nn.Identity(), (), torch.zeros(1)).item() == pytest.approx(1 + 0.1 * 3.5)
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}

    def total(strength: float) -> float:
        step = PruneChannels(criterion="batch_norm", round_to=1, slimming=Slimming(2, strength), ratio=0.1)
        module = checkpoint.load(tiny.perform(step, tmp_path / str(strength), inputs)).module
        return sum(float(p.abs().sum()) for name, p in module.named_parameters() if "norm" in name and "weight" in name)

    assert total(1.0) < 0.7 * total(1e-9)


def test_zeros_of_a_sparse_model_hold_when_its_channels_go(made: tiny.Made, tmp_path: Path) -> None:
    roles = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    sparse = tiny.perform(PruneWeights(ratio=0.5), tmp_path / "sparse", {"model": roles["model"]})
    step = PruneChannels(round_to=8, schedule=Schedule(epochs=1))
    model = checkpoint.load(tiny.perform(step, tmp_path / "out", roles | {"model": ("torch", sparse)}))
    assert len(model.sparse) == 9
    assert all(0.1 < float((p == 0).float().mean()) < 0.7 for p in model.sparse_parameters())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budget": "1 pp", "scope": "global"}, "budget decides layer by layer, so scope cannot be global"),
        ({"budget": "1 pp", "heads": 0.5}, "budget and heads each say how many heads go: keep one"),
        ({"slimming": {"epochs": 1}}, "slimming trains the scales of batch norms, which criterion magnitude ignores"),
        ({"criterion": "apos"}, "input should be 'magnitude', 'random'"),
    ],
)
def test_contradictions_are_refused_when_the_plan_is_made(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check(PruneChannels, options, file="t.toml", prefix="recipe[0]")
