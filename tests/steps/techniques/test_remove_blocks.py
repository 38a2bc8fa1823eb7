"""Removing residual blocks: the exported file has fewer layers, a budget is held, and what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgebuild.formats.onnx import Onnx
from edgebuild.nn import checkpoint, records
from edgebuild.spec import notes
from edgebuild.spec.errors import UsageError
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.remove_blocks import RemoveBlocks
from tests import tiny
from tests.steps.techniques import nets


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path]]:
    """An untrained one of two blocks, the second of which does next to nothing."""
    root = tmp_path_factory.mktemp("transformer")
    model = checkpoint.load(nets.save("Transformer", root / "built"))
    for name in ("attention.out", "outer"):
        model.module.get_parameter(f"blocks.1.{name}.weight").data *= 0.01
    (root / "net").mkdir()
    checkpoint.save(model, root / "net")
    return {"model": ("torch", root / "net"), "data": ("data", nets.data("Transformer", root / "data"))}


def test_the_block_that_does_least_leaves_the_file(transformer: dict[str, tuple[str, Path]], tmp_path: Path) -> None:
    done = tiny.perform(RemoveBlocks(), tmp_path / "out", transformer)
    record = json.loads((done / records.FILE).read_text())
    assert record["removed"] == ["blocks.1"]
    assert record["agreement"]["blocks.1"]["cosine"] > record["agreement"]["blocks.0"]["cosine"]
    assert record["macs"][1] < 0.6 * record["macs"][0]
    assert notes.read(done)[0].startswith("1 of 2 residual blocks are gone (blocks.1): ")
    model = checkpoint.load(done)
    assert isinstance(model.module.get_submodule("blocks.1"), torch.nn.Identity)
    operators = [
        Onnx().operators((tiny.perform(Convert("onnx"), tmp_path / name, {"model": of}) / "model.onnx").read_bytes())
        for name, of in (("before", transformer["model"]), ("after", ("torch", done)))
    ]
    assert [kinds.count("Softmax") for kinds in operators] == [2, 1]


def test_a_budget_takes_what_costs_nothing(transformer: dict[str, tuple[str, Path]], tmp_path: Path) -> None:
    step = RemoveBlocks(budget=1.0, criterion="cka", keep=("blocks.1",))
    record = json.loads((tiny.perform(step, tmp_path / "out", transformer) / records.FILE).read_text())
    assert record["removed"] == ["blocks.0"]
    assert 0 <= record["trials"]["blocks.0"]["accuracy"] <= 1


def test_what_cannot_be_removed_is_refused_in_one_line(
    transformer: dict[str, tuple[str, Path]], made: tiny.Made, tmp_path: Path
) -> None:
    cases = [
        (
            RemoveBlocks(blocks=3),
            transformer,
            "remove_blocks.blocks: 3 blocks cannot go: there are 2 (blocks.0, blocks.1)",
        ),
        (RemoveBlocks(keep=("block",)), transformer, "remove_blocks.keep: the model has no layer 'block'"),
        (
            RemoveBlocks(),
            {"model": ("torch", made["float"]), "data": ("data", made["data"])},
            "remove_blocks: the model has no block that adds something to what it takes, in the same shape",
        ),
    ]
    for number, (step, inputs, told) in enumerate(cases):
        with pytest.raises(UsageError) as caught:
            tiny.perform(step, tmp_path / str(number), inputs)
        assert caught.value.line.startswith(told)
