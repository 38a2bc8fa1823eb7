"""Low rank on a trained model: fewer multiplications in the exported file, within a budget; refused where it costs."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.restructure import sites
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.low_rank import LowRank
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny


def perform(step: LowRank, made: tiny.Made, out: Path) -> Path:
    return tiny.perform(step, out, {"model": ("torch", made["float"]), "data": ("data", made["data"])})


def test_the_file_has_the_factors_and_the_record_what_they_cost(made: tiny.Made, tmp_path: Path) -> None:
    done = perform(LowRank(energy=0.5), made, tmp_path / "out")
    record = json.loads((done / records.FILE).read_text())
    model = checkpoint.load(done)
    before, after = record["macs"]
    assert after < 0.8 * before
    assert after == sites.total(model.module, model.example())
    first, last = record["ranks"]["blocks.1.conv2"]
    assert {first % 8, last % 8} == {0}
    file = tiny.perform(Convert("onnx"), tmp_path / "file", {"model": ("torch", done)}) / "model.onnx"
    kernels = {t.name: tuple(t.dims) for t in onnx.load(file).graph.initializer}
    assert kernels["blocks.1.conv2.kernel.weight"] == (last, first, 3, 3)
    assert "multiplications in the place of" in notes.read(done)[0]


def test_a_split_model_is_saved_loaded_and_pruned_like_any_other(made: tiny.Made, tmp_path: Path) -> None:
    done = perform(LowRank(energy=0.6, keep=("head", "spread")), made, tmp_path / "out")
    model = checkpoint.load(done)
    assert {swap.part for swap in model.swaps} == {"low_rank"}
    assert not [swap for swap in model.swaps if swap.path in ("head", "spread")]
    (tmp_path / "again").mkdir()
    checkpoint.save(model, tmp_path / "again")
    x = torch.randn(2, 1, 12, 12)
    assert torch.equal(checkpoint.load(tmp_path / "again").module(x), model.module(x))
    pruned = tiny.perform(PruneChannels(ratio=0.5, round_to=4), tmp_path / "pruned", {"model": ("torch", done)})
    thin = checkpoint.load(pruned)
    assert thin.swaps == model.swaps
    assert sites.total(thin.module, thin.example()) < sites.total(model.module, model.example())


def test_a_budget_of_accuracy_is_held_on_validation(made: tiny.Made, tmp_path: Path) -> None:
    done = perform(LowRank(budget=0.05, round_to=4, examples=48), made, tmp_path / "out")
    data, heads = dataset.validation(made["data"], 48, 0), dataset.heads(made["data"])
    whole, split = (sensitivity.measure(checkpoint.load(of).module, data, heads) for of in (made["float"], done))
    assert whole.accuracy - split.accuracy <= 0.05
    before, after = json.loads((done / records.FILE).read_text())["macs"]
    assert after < before


def test_where_no_layer_would_take_fewer_it_is_refused_and_says_so(made: tiny.Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        perform(LowRank(energy=1.0), made, tmp_path / "out")
    assert caught.value.line.startswith(
        "low_rank: no layer would take fewer multiplications at energy 1 with round_to 8 ("
    )
    assert "it does not pay here" in caught.value.line
