"""Weights are zero in the exported file, as many as asked for, and stay so when the model learns on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgebuild.nn import checkpoint
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.records import FILE as RECORD
from edgebuild.spec import dataset
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.prune_weights import PruneWeights
from tests import tiny
from tests.steps.techniques import nets

HEADS = (Head("output", "classification"),)

Prune = Callable[..., Path]


@pytest.fixture
def prune(made: tiny.Made, tmp_path: Path) -> Prune:
    """Prune a model (the tiny CNN) and give the artifact's folder; the step has what it says it uses, no more."""

    def run(step: PruneWeights, of: tiny.Made = made, name: str = "out") -> Path:
        roles = {"model": ("torch", of["float"]), "data": ("data", of["data"])}
        return tiny.perform(step, tmp_path / name, {role: roles[role] for role in step.uses()})

    return run


def zeros(folder: Path) -> dict[str, float]:
    """The share of zeros in each sparse parameter."""
    model = checkpoint.load(folder)
    named = zip(model.sparse, model.sparse_parameters(), strict=True)
    return {name: 1 - int(p.count_nonzero()) / p.numel() for name, p in named}


def constants(path: Path) -> Iterator[np.ndarray]:
    """What a .tflite file carries; tensors of activations have no values yet."""
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(model_path=str(path))
    for detail in reader.get_tensor_details():
        with suppress(ValueError):
            yield reader.get_tensor(detail["index"])


def exported(folder: Path, kind: str, out: Path) -> list[np.ndarray]:
    """The matrices and kernels in the file that a runtime reads."""
    path = tiny.perform(Convert(kind), out, {"model": ("torch", folder)}) / tiny.FILES[kind]
    if kind == "onnx":
        found = [numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer]
    else:
        found = [*constants(path)]
    return [w for w in found if w.ndim > 1 and w.dtype == np.float32]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_zeros_are_in_the_exported_file_after_distillation(
    made: tiny.Made, prune: Prune, tmp_path: Path, kind: str
) -> None:
    pruned = prune(PruneWeights(ratio=0.8))
    inputs = {"model": ("torch", pruned), "teacher": ("torch", made["float"]), "data": ("data", made["data"])}
    tuned = tiny.perform(Distill(epochs=1, batch_size=32), tmp_path / "tuned", inputs)
    assert zeros(tuned) == zeros(pruned)
    weights = exported(tuned, kind, tmp_path / kind)
    assert len(weights) == 9
    for weight in weights:
        assert np.mean(weight == 0) == pytest.approx(0.8, abs=0.5 / weight.size + 1e-9)


def test_each_layer_or_all_together(prune: Prune) -> None:
    assert zeros(prune(PruneWeights(ratio=0.75), name="each")) == pytest.approx(
        dict.fromkeys(zeros(prune(PruneWeights(), name="half")), 0.75), abs=0.01
    )
    folder = prune(PruneWeights(ratio=0.75, scope="global"), name="all")
    record = json.loads((folder / RECORD).read_text())["zeros"]
    gone, of = (sum(pair[k] for pair in record.values()) for k in (0, 1))
    assert gone == round(0.75 * of)
    assert max(zeros(folder).values()) - min(zeros(folder).values()) > 0.1


def test_a_threshold_and_layers_to_keep(made: tiny.Made, prune: Prune) -> None:
    whole = checkpoint.load(made["float"]).module
    folder = prune(PruneWeights(threshold=0.05, keep=("blocks.0",)))
    assert not any(name.startswith("blocks.0") for name in zeros(folder))
    for name, share in zeros(folder).items():
        assert share == pytest.approx(float((whole.get_parameter(name).abs() <= 0.05).float().mean()))
    skipped = json.loads((folder / RECORD).read_text())["skipped"]
    assert skipped["blocks.0.conv1.weight"] == "named in keep"


def test_two_of_four_in_the_exported_file_and_what_does_not_divide_is_named(prune: Prune, tmp_path: Path) -> None:
    folder = prune(PruneWeights(pattern="2:4"))
    record = json.loads((folder / RECORD).read_text())
    assert record["skipped"] == {"stem.weight": "its 1 inputs are no multiple of 4"}
    kernels = [w for w in exported(folder, "onnx", tmp_path / "file") if w.shape[1] % 4 == 0]
    assert len(kernels) == 8
    for weight in kernels:
        in_fours = np.moveaxis(weight, 1, -1).reshape(-1, 4)
        assert ((in_fours != 0).sum(1) == 2).all()


def test_gradients_decide_otherwise_than_magnitudes_and_need_data(prune: Prune) -> None:
    taylor, magnitude = (
        checkpoint.load(prune(PruneWeights(criterion=name), name=name)).module.get_parameter("spread.weight") == 0
        for name in ("taylor", "magnitude")
    )
    assert 0.5 < float((taylor == magnitude).float().mean()) < 0.99
    assert PruneWeights().uses() == ("model",)


def quality(made: tiny.Made, folder: Path) -> sensitivity.Quality:
    return sensitivity.measure(checkpoint.load(folder).module, dataset.read(made["data"], "test"), HEADS)


def test_magnitude_beats_random_and_fine_tuning_brings_accuracy_back(made: tiny.Made, prune: Prune) -> None:
    by_random, by_magnitude = (
        quality(made, prune(PruneWeights(ratio=0.5, criterion=name), name=name)) for name in ("random", "magnitude")
    )
    assert by_magnitude.loss < by_random.loss
    step = PruneWeights(ratio=0.9, schedule=Schedule("cubic", 3, 1, batch_size=32))
    assert quality(made, prune(step, name="cubic")).accuracy > 0.95


def test_rounds_end_at_the_ratio(prune: Prune) -> None:
    folder = prune(PruneWeights(ratio=0.6, schedule=Schedule("iterative", 2, 1, batch_size=128)))
    assert zeros(folder) == pytest.approx(dict.fromkeys(zeros(folder), 0.6), abs=0.01)


def test_a_budget_chooses_ratios_by_layer_and_keeps_the_evidence(made: tiny.Made, prune: Prune) -> None:
    folder = prune(PruneWeights(budget=0.02, examples=128))
    scan = json.loads((folder / RECORD).read_text())["sensitivity"]
    assert scan["whole"]["accuracy"] - scan["together"]["accuracy"] <= 0.02
    unlearnt = dataset.validation(made["data"], 128, 0)
    assert scan["whole"] == sensitivity.measure(checkpoint.load(made["float"]).module, unlearnt, HEADS).recorded()
    assert len({*scan["ratios"].values()}) > 1
    assert {len(curve) for curve in scan["alone"].values()} == {9}
    assert zeros(folder) == pytest.approx(scan["ratios"], abs=0.01)


def test_two_runs_write_the_same_bytes(prune: Prune) -> None:
    step = PruneWeights(criterion="random", schedule=Schedule(epochs=1, batch_size=128))
    first, second = ({p.name: p.read_bytes() for p in prune(step, name=n).glob("*.*")} for n in "ab")
    assert first == second


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"threshold": 0.1, "pattern": "2:4"}, "threshold and pattern each say how much goes: keep one"),
    ({"budget": "1 pp", "scope": "global"}, "budget decides layer by layer, so scope cannot be global"),
    ({"threshold": 0.1, "criterion": "taylor"}, "a threshold is one of magnitude, not of taylor"),
    ({"pattern": "4:2"}, "pattern '4:2' removes nothing: N must be below M"),
    ({"pattern": "2:4", "schedule": {"kind": "cubic", "rounds": 2, "epochs": 1}},
     "a pattern is reached in one round, so schedule cannot be cubic"),
    ({"schedule": {"rounds": 2}}, "one-shot pruning has one round, not 2"),
    ({"ratio": 1.0}, "input should be less than 1"),
    ({"budget": "0.01"}, "has no unit"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "told"), WRONG)
def test_contradictions_are_refused_when_the_plan_is_made(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check(PruneWeights, options, file="t.toml", prefix="recipe[0]")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (
            PruneWeights(ratio=0.999),
            "prune_weights: all 144 weights of 'stem.weight' would be removed (lower the ratio",
        ),
        (PruneWeights(threshold=50.0), "prune_weights: all 144 weights of 'stem.weight' would be removed (lower "),
        (PruneWeights(threshold=1e-12), "prune_weights: no weight is removed (raise the ratio or threshold)"),
        (PruneWeights(pattern="3:7"), "prune_weights: there are no weights to prune (stem.weight: its 1 inputs are "),
        (PruneWeights(keep=("stm",)), "prune_weights.keep: the model has no layer 'stm' (did you mean 'stem'?"),
    ],
)
def test_what_cannot_be_pruned_is_refused(prune: Prune, step: PruneWeights, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        prune(step)
    assert caught.value.line.startswith(told)


def test_models_of_other_shapes_are_pruned_alike(pair: tiny.Made, tokens: tiny.Made, prune: Prune) -> None:
    assert {*zeros(prune(PruneWeights(), pair, "pair"))} == {"head.weight", "known.weight", "seen.weight"}
    assert {*zeros(prune(PruneWeights(), tokens, "tokens"))} == {"head.weight", "inner.weight"}


def test_zeros_survive_a_second_pruning_of_other_layers(made: tiny.Made, prune: Prune, tmp_path: Path) -> None:
    first = prune(PruneWeights(keep=("head",)))
    second = tiny.perform(PruneWeights(threshold=0.01), tmp_path / "again", {"model": ("torch", first)})
    model = checkpoint.load(second)
    assert torch.count_nonzero(model.module.get_parameter("spread.weight") == 0) >= 64 * 64 * 9 // 2
    assert "head.weight" in model.sparse


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_weights_of_recurrent_layers_are_zero_in_the_exported_file(tmp_path: Path, kind: str) -> None:
    model, data = nets.save("Recurrent", tmp_path / "net"), nets.data("Recurrent", tmp_path / "data")
    step = PruneWeights(ratio=0.75, schedule=Schedule(epochs=1))
    folder = tiny.perform(step, tmp_path / "out", {"model": ("torch", model), "data": ("data", data)})
    assert {*zeros(folder)} == {
        "first.weight_hh_l0", "first.weight_ih_l0", "head.weight", "inner.weight", "second.weight_hh_l0",
        "second.weight_ih_l0",
    }  # fmt: skip
    matrices = [w for w in exported(folder, kind, tmp_path / kind) if w.shape[-2] > 1]  # not the biases
    assert sum(w.size for w in matrices) >= 64 * 8 + 64 * 16 + 48 * 16 * 2 + 32 * 16 + 4 * 32
    assert all(float((w == 0).mean()) == pytest.approx(0.75, abs=0.01) for w in matrices)
