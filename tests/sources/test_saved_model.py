"""A SavedModel is known by its folder, and read by TensorFlow in a process of its own, where that is installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgebuild.engine.task import Limits
from edgebuild.formats import _tensorflow
from edgebuild.formats._tensorflow_child import Unsigned
from edgebuild.report.lines import Lines
from edgebuild.sources.saved_model import SavedModel
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.signature import TensorSpec
from edgebuild.travels import load_onnx
from edgebuild.verbs import init, inspect

MAKE = """
import sys
import tensorflow as tf


class Model(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(tf.random.stateless_normal((4, 3), (1, 2)))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="zeta"), tf.TensorSpec((None, 3), name="alpha")])
    def serve(self, zeta, alpha):
        if len(sys.argv) > 2:
            zeta = tf.ensure_shape(tf.numpy_function(lambda x: x, [zeta], tf.float32), (None, 4))
        return {"second": tf.matmul(zeta, self.weights) + alpha, "first": tf.reduce_sum(zeta, 1)}


model = Model()
tf.saved_model.save(model, sys.argv[1], signatures=model.serve)
"""
needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is an extra: edgebuild[tf]")


def make(folder: Path, *more: str) -> Path:
    subprocess.run([sys.executable, "-c", MAKE, str(folder), *more], check=True, capture_output=True)
    return folder


def test_a_folder_is_known_by_its_graph(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        inspect.source_for(tmp_path / "net")
    (tmp_path / "net" / "saved_model.pb").touch()
    assert inspect.source_for(tmp_path / "net") == "saved_model"


@needs_tensorflow
def test_names_stay_and_the_onnx_file_answers_as_tensorflow_does(tmp_path: Path) -> None:
    folder = make(tmp_path / "net")
    seen = _tensorflow.look(folder)
    assert [port.shown for port in seen.inputs] == ["alpha [?, 3] float32", "zeta [?, 4] float32"]
    assert ([port.name for port in seen.outputs], seen.parameters) == (["first", "second"], 12)
    model = load_onnx.Model(_tensorflow.adopt(folder, [TensorSpec("alpha", (3,)), TensorSpec("zeta", (4,))]), {})
    rng = np.random.default_rng(0)
    samples = [(rng.random((1, 3), np.float32), rng.random((1, 4), np.float32)) for _ in range(5)]
    for sample, answered in zip(samples, _tensorflow.answers(folder / "saved_model.pb", samples), strict=True):
        for ours, theirs in zip(model.answer(sample), answered, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


@needs_tensorflow
def test_init_takes_the_folder_with_all_that_is_in_it(tmp_path: Path) -> None:
    """It is copied whole, lifted, and answers noise, since there are no examples."""
    folder = make(tmp_path / "net")
    project = open_project(tmp_path / "project")
    begun = init.run(project, folder, init.Wishes(), None, 1, Lines(sys.stderr), Limits())
    declared = tomllib.loads((project.root / begun.folder / "model.toml").read_text())
    assert declared["source"] == {"use": "saved_model", "file": "net"}
    assert [(one["name"], one["shape"]) for one in declared["inputs"]] == [("alpha", [3]), ("zeta", [4])]
    assert (project.root / begun.folder / "net" / "variables" / "variables.index").is_file()
    assert begun.checked is not None
    assert begun.checked.recipes["balanced"] == begun.checked.techniques["int8"] == ""


@needs_tensorflow
def test_a_graph_that_reaches_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"PyFunc.*reaches files or code"):
        _tensorflow.look(make(tmp_path / "net", "python"))


@needs_tensorflow
def test_a_model_that_does_not_say_what_serves_is_told_how_to_name_it(tmp_path: Path) -> None:
    """What is told is done here, word for word."""
    folder = make(tmp_path / "net")
    twice = (
        "import sys, tensorflow as tf\nmodel = tf.saved_model.load(sys.argv[1])\n"
        "serving = [*model.signatures.values()]\n"
        "tf.saved_model.save(model, sys.argv[2], signatures={'one': serving[0], 'other': serving[0]})"
    )
    subprocess.run([sys.executable, "-c", twice, folder, tmp_path / "two"], check=True, capture_output=True)
    with pytest.raises(UsageError) as caught:
        inspect.run(tmp_path / "two")
    assert caught.value.hint is not None
    advice = caught.value.hint.partition(": ")[2].replace("FOLDER", "two").replace("OTHER", "named")
    command = [sys.executable, "-c", f"import tensorflow as tf; {advice}"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    assert [port.name for port in inspect.run(tmp_path / "named").look.inputs] == ["alpha", "zeta"]


def test_what_no_signature_serves_is_told_what_to_write() -> None:
    told = [str(Unsigned(names)) + Unsigned(names).hint for names in (["one", "other"], [])]
    assert "it has one, other)" in told[0]
    assert "signatures={'serving_default': model.signatures['one']}" in told[0]
    assert "it has none)" in told[1]
    assert "get_concrete_function" in told[1]


@needs_tensorflow
def test_what_tensorflows_own_converter_makes_of_it_answers_alike_by_name(tmp_path: Path) -> None:
    folder = make(tmp_path / "net")
    rng = np.random.default_rng(0)
    samples = [(rng.random((1, 3), np.float32), rng.random((1, 4), np.float32)) for _ in range(5)]
    answered, converted = _tensorflow.answers(folder, samples), _tensorflow.converted_answers(folder, samples)
    for theirs, again in zip(answered, converted, strict=True):
        for one, other in zip(theirs, again, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_second_opinion_is_on_tflite_alone() -> None:
    source = SavedModel("net")
    second = source.second("tflite", "test")
    assert second is not None
    assert second.tools == ("tf_keras", "ai-edge-litert", "tensorflow")
    assert source.second("onnx", "test") is None
