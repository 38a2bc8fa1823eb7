"""mixed_precision: the layer that loses the answers is found, stays float, and is told; the rest computes in int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Split
from edgebuild.steps.techniques.mixed_precision import MixedPrecision
from tests import tiny
from tests.formats import nets

formats = pytest.mark.parametrize("format_name", ["onnx", "tflite"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, labelled anyhow: the step compares files with each other."""
    folder = tmp_path_factory.mktemp("noise")
    pictures = np.concatenate([x for (x,) in nets.samples("residual", 160)])
    rows = np.random.default_rng(0).permutation(160)
    for name, part in (("train", rows[:32]), ("validation", rows[32:128])):
        dataset.write(folder, name, Split((pictures[np.sort(part)],), (np.zeros(len(part), np.int64),)))
    return folder


@pytest.fixture(scope="module")
def spiky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The residual net with a huge weight in each channel of `inner`, beside which its others round to nothing.

    The huge ones read a channel that is always 0, so the float answers do not show them.
    """
    import copy

    import torch

    module: Any = copy.deepcopy(nets.net("residual"))
    with torch.no_grad():
        module.inner.weight[:, 0] = 400.0
        module.stem.weight[0] = module.stem.bias[0] = 0
        pictures = torch.from_numpy(np.concatenate([x for (x,) in nets.samples("residual", 64)]))
        module.head.bias -= module(pictures).mean(0)  # answers that differ
    folder = tmp_path_factory.mktemp("spiky")
    for name in ("onnx", "tflite"):
        kind = FORMATS.get(name)()
        (folder / name).mkdir()
        example = (torch.zeros(1, 3, 12, 12),)
        (folder / name / kind.file).write_bytes(kind.convert(module, example))
    return folder


def perform(step: MixedPrecision, model: Path, data: Path, output: Path) -> dict[str, Any]:
    tiny.perform(step, output, {"model": (model.name, model), "data": ("data", data)})
    report: dict[str, Any] = json.loads((output / "blame.json").read_text())
    return report


@formats
def test_the_layer_to_blame_is_found_and_stays_float(spiky: Path, data: Path, tmp_path: Path, format_name: str) -> None:
    step = MixedPrecision(calibration=32, examples=96, ranking=32, margin=0.05)
    report = perform(step, spiky / format_name, data, tmp_path / "out")
    assert report["layers"][0]["name"] == "inner"
    ratios = [layer["snr_db"] for layer in report["layers"]]
    assert ratios == sorted(ratios)
    others = [layer["snr_db"] for layer in report["layers"] if layer["name"] in ("stem", "head")]
    assert ratios[0] < min(others) - 6
    left = {layer["name"] for layer in report["layers"] if layer["float"]}
    assert left in ({"inner"}, {"inner", "between layers"})
    assert report["changed"] <= 0.05
    kind = FORMATS.get(format_name)()
    model = (tmp_path / "out" / kind.file).read_bytes()
    given = nets.samples("residual", 96, seed=9)
    wanted = nets.answers(format_name, (spiky / format_name / kind.file).read_bytes(), given)
    assert (nets.answers(format_name, model, given).argmax(1) == wanted.argmax(1)).mean() > 0.9


@formats
def test_a_model_that_int8_does_not_hurt_stays_whole(made: tiny.Made, tmp_path: Path, format_name: str) -> None:
    step = MixedPrecision(calibration=32, examples=64, ranking=8)
    report = perform(step, made[format_name], made["data"], tmp_path / "out")
    assert not any(layer["float"] for layer in report["layers"])
    assert report["changed"] <= 0.01
    whole = tiny.FILES[format_name]
    assert (tmp_path / "out" / whole).stat().st_size < 0.3 * (made[format_name] / whole).stat().st_size


def test_a_margin_that_no_round_reaches_is_refused_with_the_layers_tried(
    spiky: Path, data: Path, tmp_path: Path
) -> None:
    step = MixedPrecision(calibration=32, examples=96, ranking=8, margin=0.0, rounds=0)
    with pytest.raises(UsageError, match=r"int8 changes \d+\.\d\d% of the answers, 0\.00% may; layers in float: none"):
        perform(step, spiky / "onnx", data, tmp_path / "out")


def test_agreement_is_measured_on_validation_examples(made: tiny.Made, tmp_path: Path) -> None:
    step = MixedPrecision(calibration=100_000, examples=100_000, ranking=8)
    report = perform(step, made["onnx"], made["data"], tmp_path / "out")
    assert report["examples"] == len(dataset.read(made["data"], "validation")) < 100
