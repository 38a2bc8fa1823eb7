"""Merging on a trained model: doubled channels leave the exported file, and its answers stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgebuild.nn import checkpoint, records
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.merge_channels import MergeChannels
from tests import tiny
from tests.steps.techniques import nets


@pytest.fixture(scope="module")
def doubled(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained tiny CNN with eight channels of `spread` made the same as eight others."""
    model = checkpoint.load(made["float"])
    spread = model.module.get_submodule("spread")
    for name in ("weight", "bias"):
        value = getattr(spread, name).data
        value[40:48] = value[:8]
    folder = tmp_path_factory.mktemp("doubled")
    checkpoint.save(model, folder)
    return folder


def merge(step: MergeChannels, made: tiny.Made, model: Path, out: Path) -> tuple[Path, dict[str, Any]]:
    done = tiny.perform(step, out, {"model": ("torch", model), "data": ("data", made["data"])})
    return done, json.loads((done / records.FILE).read_text())


def exported(folder: Path, out: Path) -> Path:
    return tiny.perform(Convert("onnx"), out, {"model": ("torch", folder)}) / "model.onnx"


def test_the_exported_file_has_fewer_channels_and_the_same_answers(
    made: tiny.Made, doubled: Path, tmp_path: Path
) -> None:
    done, record = merge(MergeChannels(threshold=0.9999), made, doubled, tmp_path / "out")
    pairs = [(pair["kept"], pair["gone"]) for pair in record["merged"]["spread"]]
    assert sorted(pairs) == [(k, 40 + k) for k in range(8)]
    before, after = exported(doubled, tmp_path / "a"), exported(done, tmp_path / "b")
    kernels = {tuple(t.dims) for t in onnx.load(after).graph.initializer}
    assert (56, 64, 3, 3) in kernels
    x = dataset.read(made["data"], "test").inputs[0][:20]
    answers = []
    for file in (before, after):
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers.append(np.concatenate([session.run(None, {name: x[k : k + 1]})[0] for k in range(len(x))]))
    assert np.abs(answers[0] - answers[1]).max() < 1e-4 * np.abs(answers[0]).max()


def test_what_is_left_is_rounded_up_to_a_multiple(made: tiny.Made, doubled: Path, tmp_path: Path) -> None:
    _, record = merge(MergeChannels(threshold=0.9999, round_to=5), made, doubled, tmp_path / "out")
    assert len(record["merged"]["spread"]) == 4  # 60 of 64


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (
            MergeChannels(threshold=1.0, round_to=32),
            "merge_channels: too few channels are alike to leave a multiple of 32: ",
        ),
        (
            MergeChannels(threshold=1.0, keep=("spread",)),
            "merge_channels: too few channels are alike to leave a multiple",
        ),
        (MergeChannels(keep=("spred",)), "merge_channels.keep: the model has no layer 'spred' (did you mean 'spread'?"),
    ],
)
def test_what_cannot_be_merged_is_refused(
    made: tiny.Made, doubled: Path, tmp_path: Path, step: MergeChannels, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        merge(step, made, doubled, tmp_path / "out")
    assert caught.value.line.startswith(told)


def test_layers_that_cannot_be_merged_are_named(tmp_path: Path) -> None:
    model, data = nets.save("Transformer", tmp_path / "net"), nets.data("Transformer", tmp_path / "data")
    inputs = {"model": ("torch", model), "data": ("data", data)}
    done = tiny.perform(MergeChannels(threshold=0.4, round_to=1), tmp_path / "out", inputs)
    record = json.loads((done / records.FILE).read_text())
    assert {*record["merged"]} == {"blocks.0.inner", "blocks.1.inner"}
    assert {"blocks.0.attention", "embed", "head"} <= {*record["whole"]}
