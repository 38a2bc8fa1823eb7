"""Golden vectors: a bundle tests itself, and says so when its model answers otherwise than when it was judged."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx as onnx_model
from onnx import numpy_helper

from edgebuild.bundle import golden, manifest
from edgebuild.spec import dataset
from tests import tiny
from tests.bundle.test_assemble import execute


def test_they_are_the_first_held_out_examples_and_what_the_shipped_file_answers(made: tiny.Made, onnx: Path) -> None:
    """In order, since a file may keep a state from one to the next."""
    facts = manifest.verify_bundle(onnx)
    assert facts.golden is not None
    assert facts.golden.file in facts.files
    (inputs,), (outputs,) = golden.read(onnx, facts.golden)
    test = dataset.read(made["data"], "test")
    assert inputs.shape == (4, 1, 12, 12)
    assert np.array_equal(inputs, np.asarray(test.inputs[0])[:4])
    assert outputs.shape == (4, 4)


def test_a_bundle_answers_its_own(onnx: Path, lite: Path) -> None:
    for bundle in (onnx, lite):
        assert execute(bundle, "--self-test") == (
            "self-test: 4 golden inputs are answered as when the model was judged\n"
        )


def test_a_model_that_answers_otherwise_is_told_and_exits_1(onnx: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(onnx, tmp_path / "bundle")
    other = onnx_model.load(copy / "model.onnx")
    for weights in other.graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.ndim > 1:
            weights.CopyFrom(numpy_helper.from_array(values * np.float32(1.05), weights.name))
    onnx_model.save(other, copy / "model.onnx")
    told = execute(copy, "--self-test", expect=1)
    assert re.fullmatch(
        r"run\.py: self-test: output of golden input \d is off by [\d.]+, and at most .* allowed\n", told
    )


def test_a_bundle_without_them_says_so(onnx: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(onnx, tmp_path / "bundle")
    content = json.loads((copy / "manifest.json").read_text())
    del content["golden"]
    (copy / "manifest.json").write_text(json.dumps(content))
    assert "the bundle has no golden inputs" in execute(copy, "--self-test", expect=1)
    assert "name a file to run the model on, or --self-test" in execute(copy, expect=2)
