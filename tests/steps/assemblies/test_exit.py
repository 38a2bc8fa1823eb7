"""An exit learns to answer as the network does at its end, which stays as it is; the rest is fed its features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgebuild.nn import checkpoint
from edgebuild.nn.restructure import exits
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.steps.assemblies.add_exit import AddExit
from edgebuild.steps.assemblies.carry_features import CarryFeatures
from edgebuild.steps.assemblies.take_rest import TakeRest
from tests import tiny


@pytest.fixture(scope="module")
def halves(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("halves")
    inputs = {"model": ("torch", made["pruned"]), "data": ("data", made["data"])}
    first = tiny.perform(AddExit("blocks.0"), folder / "exit", inputs)
    return first, tiny.perform(TakeRest(), folder / "rest", {"model": ("torch", first)})


def test_the_exit_answers_well_and_the_rest_as_the_whole_did(halves: tuple[Path, Path], made: tiny.Made) -> None:
    first, rest = (checkpoint.load(folder) for folder in halves)
    test = dataset.read(made["data"], "test").take(slice(None))
    x = torch.from_numpy(np.asarray(test.inputs[0]))
    with torch.no_grad():
        answer, features = first.module(x)
        torch.testing.assert_close(rest.module(features), checkpoint.load(made["pruned"]).module(x))
    assert float((answer.argmax(1).numpy() == test.labels[0]).mean()) > 0.95
    assert [spec.name for spec in first.outputs] == ["output", "features"]
    assert rest.inputs == first.outputs[1:]
    (line,) = notes.read(halves[0])
    assert line.startswith("an exit behind 'blocks.0' answers ")


def test_a_feature_that_hardly_moves_leaves_the_others_their_weight_in_8_bits() -> None:
    """Of a pruned network many places of features do: that head answered as by chance once it was quantized."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 4
    moving = torch.nn.functional.one_hot(labels, 4) + 0.2 * torch.randn(400, 4, generator=generator)
    features = torch.cat([moving, 1e-4 * torch.randn(400, 60, generator=generator)], 1)
    weight, bias = AddExit().fitted(features, 5 * moving, labels)
    steps = weight.abs().amax(1, keepdim=True) / 127
    rounded = (weight / steps).round() * steps
    answers, in_8_bits = (features @ each.T + bias for each in (weight, rounded))
    assert float((answers.argmax(1) == labels).float().mean()) > 0.97
    assert float((answers - in_8_bits).norm() / answers.norm()) < 0.02


@pytest.mark.parametrize(("shape", "places"), [((3, 9), 4), ((3, 8, 13), 16), ((3, 8, 8, 8), 64), ((3, 2, 2), 4)])
def test_the_head_looks_at_means_of_windows_without_a_pool_that_has_no_kernel_in_8_bits(
    shape: tuple[int, ...], places: int
) -> None:
    x = torch.rand(2, *shape)
    pool = exits.pooled(shape, 4)
    windows = [max(1, size // 4) for size in shape[1:]]
    expected = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(shape) - 2](x, windows)
    torch.testing.assert_close(pool(x), expected.flatten(1))
    assert pool(x).shape == (2, 3 * places)
    assert len(shape) == 4 or not any("Pool" in type(each).__name__ for each in pool.modules())


def test_the_rest_is_fed_what_the_file_gives(halves: tuple[Path, Path], made: tiny.Made, tmp_path: Path) -> None:
    given = {}
    for split, count in (("test", 400), ("validation", 48)):
        (tmp_path / split).mkdir()
        given[split] = np.full((count, 5), 0.5, np.float32)
        np.savez(tmp_path / split / "outputs.npz", **{"0": np.zeros((count, 4), np.float32), "1": given[split]})
    inputs = {"first": ("torch", halves[0]), "data": ("data", made["data"])}
    inputs |= {split: ("outputs", tmp_path / split) for split in given}
    done = tiny.perform(CarryFeatures(), tmp_path / "out", inputs)
    for split, features in given.items():
        carried, own = dataset.read(done, split), dataset.read(made["data"], split)
        assert np.array_equal(np.asarray(carried.inputs[0]), features)
        assert np.array_equal(carried.labels[0], own.labels[0])
    learnt = dataset.read(done, "train")
    assert len(learnt) == 512 == json.loads((done / dataset.DESCRIPTION).read_text())["examples"]["train"]
    assert learnt.inputs[0].shape[1:] == checkpoint.load(halves[0]).outputs[1].shape


def test_a_place_that_the_network_has_not_names_the_assemblys_key(made: tiny.Made, tmp_path: Path) -> None:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    with pytest.raises(UsageError) as caught:
        tiny.perform(AddExit("block", shown="models/m/model.toml"), tmp_path / "out", inputs)
    assert caught.value.line.startswith(
        "models/m/model.toml: assembly.after: the model runs no module 'block' (it runs"
    )
