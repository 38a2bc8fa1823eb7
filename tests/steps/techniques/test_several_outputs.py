"""Techniques on a model of two inputs of different types and three outputs, of which one has no task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step
from edgebuild.steps.techniques.bias_correction import BiasCorrection
from edgebuild.steps.techniques.codebook import Codebook
from edgebuild.steps.techniques.equalize import Equalize
from edgebuild.steps.techniques.mixed_precision import REPORT, MixedPrecision
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.techniques.prune_weights import PruneWeights
from edgebuild.steps.techniques.qat import Qat
from tests import tiny

NAMES = ("kind", "features", "place")


def answers(folder: Path, made: tiny.Made) -> list[np.ndarray]:
    test = dataset.read(made["data"], "test")
    with torch.no_grad():
        said = checkpoint.load(folder).module(*(torch.from_numpy(np.array(x)) for x in test.inputs))
    return [one.numpy() for one in said]


def run(made: tiny.Made, folder: Path, step: Step, model: str = "float", **more: str) -> Path:
    inputs = {"model": (tiny.kind(model), made[model]), "data": ("data", made["data"])}
    return tiny.perform(step, folder / "out", inputs | {role: ("torch", made[name]) for role, name in more.items()})


STEPS: dict[str, tuple[Step, float]] = {
    "equalize": (Equalize(), 1e-4),
    "bias_correction": (BiasCorrection(), 0.1),
    "codebook": (Codebook(bits=6), 0.2),
    "prune_weights": (PruneWeights(ratio=0.3), 0.3),
    "prune_channels": (PruneChannels(ratio=0.25, round_to=4, schedule=Schedule(epochs=4, batch_size=32)), 0.6),
    "qat": (Qat(epochs=1, batch_size=32), 0.6),
}


@pytest.mark.parametrize("name", STEPS)
def test_every_output_stays_near_what_the_model_answered(scene: tiny.Made, tmp_path: Path, name: str) -> None:
    step, tolerance = STEPS[name]
    out = run(scene, tmp_path, step, **({"teacher": "float"} if name == "qat" else {}))
    for output, before, after in zip(NAMES, answers(scene["float"], scene), answers(out, scene), strict=True):
        assert before.shape == after.shape, output
        assert np.abs(after - before).max() <= tolerance * np.abs(before).max(), output


def test_pruning_keeps_the_layers_of_all_outputs_whole(scene: tiny.Made) -> None:
    parameters = {name: tuple(p.shape) for name, p in checkpoint.load(scene["pruned"]).module.named_parameters()}
    assert (parameters["features.weight"][0], parameters["kind.weight"][0], parameters["place.weight"][0]) == (8, 4, 2)
    assert parameters["convs.0.weight"][0] == 8  # half of what reaches no output directly
    record = json.loads((scene["pruned"] / records.FILE).read_text())
    assert {name for name, why in record["whole"].items() if why == "it makes an output"} == {*NAMES}


def test_both_heads_learn_and_distillation_keeps_them(scene: tiny.Made) -> None:
    test = dataset.read(scene["data"], "test")
    for model in ("float", "distilled"):
        kind, _, place = answers(scene[model], scene)
        assert (kind.argmax(1) == test.labels[0]).mean() > 0.75
        assert np.abs(place - test.labels[1]).mean() < 0.25


def test_a_budget_is_that_of_the_head_that_loses_most() -> None:
    before = sensitivity.Quality(0.9, 0.5, (0.95, 0.85))
    assert before.drop(sensitivity.Quality(0.89, 0.5, (0.97, 0.81))) == pytest.approx(0.04)


def test_mixed_precision_asks_every_head_and_every_output(scene: tiny.Made, tmp_path: Path) -> None:
    out = run(scene, tmp_path, MixedPrecision(calibration=32, examples=64, margin=0.1), "onnx")
    report: dict[str, Any] = json.loads((out / REPORT).read_text())
    assert 0 < report["changed"] <= 0.1
    heads = {"place", "features", "kind"}
    assert heads <= {layer["name"] for layer in report["layers"] if layer["snr_db"] is not None}
