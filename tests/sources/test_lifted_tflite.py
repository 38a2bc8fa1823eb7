"""A .tflite file becomes a module of layers, proved against LiteRT; one that cannot goes on as the file that it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.sources.lifted import Lifted
from edgebuild.sources.tflite import Tflite
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.lift_file import LiftFile
from edgebuild.steps.lift_file import refusal as refusal_of
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.travels import load_tflite
from tests import tiny
from tests.formats.lite import file

ENDS = Signature((TensorSpec("image", (12, 12, 1)),), (TensorSpec("output", (4,)),))  # as the file has it


def lifted(made: tiny.Made, content: bytes, folder: Path, ends: Signature = ENDS) -> Path:
    (folder / "came").mkdir()
    (folder / "came" / "net.tflite").write_bytes(content)
    data = folder / "data"
    data.mkdir()
    validation = dataset.read(made["data"], "validation")
    images = np.asarray(validation.inputs[0]).reshape(-1, *ends.inputs[0].shape)
    dataset.write(data, "validation", Split((images,), (np.asarray(validation.labels[0]),)))
    dataset.describe(data, dataset.heads(made["data"]), {"validation": len(images)}, {})
    step = LiftFile(Lifted("net.tflite").reader(), "net.tflite", ends, origin="models/m", shown="models/m/net.tflite")
    inputs = {"file": ("", folder / "came"), "data": ("data", data)}
    return tiny.perform(step, folder / "lifted", inputs)


def test_a_file_is_lifted_as_litert_answers_and_pruned(made: tiny.Made, tmp_path: Path) -> None:
    content = made.file("tflite").read_bytes()
    output = lifted(made, content, tmp_path)
    (told,) = notes.read(output)
    assert told.startswith("models/m/net.tflite: answers as its file does, to ")
    module, model = checkpoint.load(output).module, load_tflite.Model(content, {})
    for image in np.random.default_rng(0).normal(0, 1, (3, 1, 12, 12, 1)).astype(np.float32):
        with torch.no_grad():
            assert module(torch.from_numpy(image)).numpy() == pytest.approx(model.answer((image,))[0], abs=1e-4)
    pruned = tiny.perform(PruneChannels(ratio=0.5, round_to=8), tmp_path / "pruned", {"model": ("torch", output)})
    counts = [sum(each.numel() for each in one.parameters()) for one in (checkpoint.load(pruned).module, module)]
    assert counts[0] < 0.6 * counts[1]


def test_what_has_no_onnx_goes_on_as_the_file(made: tiny.Made, tmp_path: Path) -> None:
    content = file("CUMSUM", [(1, 144)], (1, 144), {1: np.array(1, np.int32)}, options="CumsumOptions")
    ends = Signature((TensorSpec("in/0", (144,)),), (TensorSpec("output", (144,)),))
    why = refusal_of(lifted(made, content, tmp_path, ends))
    assert why == "cannot become a PyTorch module: CUMSUM 'out.0' has no place in ONNX here"
    source = Lifted("net.tflite").as_file(why)
    assert (source.kind, Lifted("net.onnx").as_file(why).kind) == ("tflite", "onnx")
    assert isinstance(source.by, Tflite)  # type: ignore[attr-defined]


def test_what_is_no_file_of_use_ends_the_build(made: tiny.Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        lifted(made, made.file("tflite").read_bytes()[:-200], tmp_path)
    assert caught.value.line.startswith("models/m/net.tflite: ")


def test_what_a_build_of_it_needs_is_named() -> None:
    assert Lifted("net.tflite").packages() == (
        ("torch", "safetensors", "onnx", "onnxruntime", "ai-edge-litert"),
        "torch,onnx,tflite",
    )
    assert "ai-edge-litert" not in Lifted("net.onnx").packages()[0]
