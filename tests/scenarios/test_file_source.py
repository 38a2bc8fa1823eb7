"""Somebody's ONNX or TFLite file becomes a judged bundle without PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest

from edgebuild.travels import load_tflite
from tests import tiny
from tests.scenarios.conftest import Workspace

TARGET = 'description = "Quantized"\nsteps = [{use = "mixed_precision"}, {use = "encode"}]\n'


@pytest.fixture(scope="module")
def given(fresh: Callable[[], Workspace], made: tiny.Made) -> Workspace:
    """A project whose only model is a file from elsewhere."""
    workspace = fresh()
    folder = workspace.root / "models" / "given"
    (workspace.root / "models" / "tiny").rename(folder)
    shutil.copyfile(tiny.MODELS / "tiny" / "model.py", folder / "model.py")
    text = (tiny.MODELS / "tiny" / "model.toml").read_text().partition("[training]")[0]
    source = '[source]\nuse = "onnx"\nfile = "net/model.onnx"\nexternal = ["weights.bin"]\n'
    (folder / "model.toml").write_text(text.replace('builder = "build"\n', "") + source)
    (folder / "net").mkdir()
    model = onnx.load(made.file("onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save_model(
        model, folder / "net" / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=100
    )
    (workspace.root / "recipes").mkdir()
    (workspace.root / "recipes" / "files.toml").write_text(TARGET)
    return workspace


def test_it_is_quantized_judged_against_the_original_and_bundled(given: Workspace) -> None:
    ran = given.run("--target", "board", "--recipe", "files", "--json")
    assert ran.code == 0, ran.err
    (bundle,) = ran.document["bundles"]
    assert "board: given comes as onnx, and nothing makes tflite of that: left out" in ran.document["notices"]
    manifest = json.loads((given.root / "dist" / "board" / "given" / "manifest.json").read_text())
    (parity,) = manifest["evidence"]["parity"]["outputs"].values()
    assert parity["converted"]["relative"] < 1e-5  # held against the file as it came
    assert parity["candidate"]["relative"] > parity["converted"]["relative"]
    proof = {step["step"]: step for step in manifest["evidence"]["proof"]["steps"]}
    assert proof["mixed_precision"]["after"]["bytes"] < 0.5 * proof["mixed_precision"]["before"]["bytes"]
    assert bundle["status"] == "pass"


def test_its_runner_answers_as_the_file_that_came(given: Workspace) -> None:
    folder = given.root / "dist" / "board" / "given"
    done = subprocess.run(
        [sys.executable, str(folder / "run.py"), str(folder / "sample.npy")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    original = given.root / "models" / "given" / "net" / "model.onnx"
    session = onnxruntime.InferenceSession(str(original), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: np.load(folder / "sample.npy")})
    labels = json.loads((folder / "labels.json").read_text())
    assert done.stdout.startswith(f"sample.npy: {labels[int(answer.argmax())]} (")


def test_another_file_is_another_model_and_the_data_stays(given: Workspace) -> None:
    with (given.root / "models" / "given" / "net" / "weights.bin").open("ab") as file:
        file.write(b"\0")
    explained = given.run("explain", "--target", "board", "--recipe", "files", "--json").document["steps"]
    first = next(entry for entry in explained if entry["state"] == "run")
    assert first["step"] == "given/float"
    assert first["reason"].startswith("input.file file:")
    assert next(entry for entry in explained if entry["step"] == "given/data")["state"] == "current"


LAST = """

first = load


def load():
    return {name: (x.transpose(0, 2, 3, 1), labels) for name, (x, labels) in first().items()}
"""


def test_a_tflite_file_with_its_channels_last_goes_the_same_way(given: Workspace, made: tiny.Made) -> None:
    folder = given.root / "models" / "last"
    shutil.copytree(given.root / "models" / "given", folder, ignore=shutil.ignore_patterns("net"))
    with (folder / "model.py").open("a") as code:
        code.write(LAST)
    text = (folder / "model.toml").read_text().partition("[source]")[0].replace("[1, 12, 12]", "[12, 12, 1]")
    (folder / "model.toml").write_text(f'{text}[source]\nuse = "tflite"\nfile = "net.tflite"\n')
    shutil.copyfile(made.file("tflite"), folder / "net.tflite")
    (given.root / "recipes" / "integers.toml").write_text('description = "int8"\nsteps = [{use = "int8"}]\n')
    ran = given.run("--target", "board", "--recipe", "integers", "--model", "last", "--json")
    assert ran.code == 0, ran.err
    bundle = given.root / "dist" / "board" / "last"
    facts = json.loads((bundle / "manifest.json").read_text())
    assert facts["evidence"]["parity"]["outputs"]["output"]["converted"]["max_abs"] == 0
    values = np.load(bundle / "sample.npy")
    session = load_tflite.Model(str(folder / "net.tflite"), {})
    (answer,) = session.answer([values])
    label = json.loads((bundle / "labels.json").read_text())[int(answer.argmax())]
    done = subprocess.run([sys.executable, "run.py", "sample.npy"], cwd=bundle, capture_output=True, text=True)
    assert (done.returncode, done.stdout.partition(" (")[0]) == (0, f"sample.npy: {label}")


@pytest.fixture(scope="module")
def lifted(given: Workspace, fresh: Callable[[], Workspace]) -> Workspace:
    """The same file, to be pruned and trained."""
    workspace = fresh()
    workspace.edit(
        "targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', ""
    )  # TFLite of a lifted file: test_keras_source.py
    shutil.rmtree(workspace.root / "models")
    shutil.copytree(given.root / "models" / "given", workspace.root / "models" / "given")
    toml = workspace.root / "models" / "given" / "model.toml"
    # Exporters fold batch norms, without which a network learns in smaller steps.
    toml.write_text(
        toml.read_text().replace('use = "onnx"', 'use = "lifted"') + "[steps.distill]\nlearning_rate = 0.005\n"
    )
    return workspace


def test_a_file_is_pruned_distilled_and_quantized(lifted: Workspace) -> None:
    ran = lifted.run("--target", "board", "--json")
    assert ran.code == 0, ran.err
    (bundle,) = ran.document["bundles"]
    assert {*bundle["formats"]} == {"onnx"}
    assert any("answers as its file does" in note for note in bundle["notes"])
    manifest = json.loads((lifted.root / "dist" / "board" / "given" / "manifest.json").read_text())
    footprint = manifest["evidence"]["footprint"]
    assert footprint["candidate"]["macs"] < 0.7 * footprint["baseline"]["macs"]
    assert [step["step"] for step in manifest["evidence"]["proof"]["steps"]] == ["prune_channels", "distill", "int8"]
    (parity,) = manifest["evidence"]["parity"]["outputs"].values()
    assert parity["converted"]["relative"] < 1e-5


@pytest.fixture(scope="module")
def odd(lifted: Workspace, given: Workspace) -> Workspace:
    """A file with an operator behind its answers that no module has."""
    path = lifted.root / "models" / "given" / "net" / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    (last,) = [node for node in model.graph.node if model.graph.output[0].name in node.output]
    last.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("NonZero", ["before"], ["places"], "odd"))
    model.graph.node.append(onnx.helper.make_node("ReduceMin", ["places"], ["least"], keepdims=0))
    model.graph.node.append(onnx.helper.make_node("Cast", ["least"], ["small"], to=onnx.TensorProto.FLOAT))
    model.graph.node.append(onnx.helper.make_node("Add", ["before", "small"], [model.graph.output[0].name]))
    onnx.save(model, path)
    shutil.copytree(given.root / "recipes", lifted.root / "recipes")
    return lifted


def test_a_file_that_cannot_be_lifted_says_where_and_what_to_do(odd: Workspace) -> None:
    ran = odd.run("--target", "board")
    assert ran.code == 2
    told = ran.err.splitlines()[-1]
    assert told.startswith("edgebuild: models/given/net/model.onnx: cannot become a PyTorch module: NonZero 'odd'")
    assert "'prune_channels' works on one; recipes of steps for files take it as it is" in told


def test_where_the_recipe_works_on_files_it_goes_on_as_one_and_says_so(odd: Workspace) -> None:
    ran = odd.run("--target", "board", "--recipe", "integers", "--json")
    assert ran.code == 0, ran.err
    why = "cannot become a PyTorch module: NonZero 'odd'"
    assert any(notice.startswith(f"given: {why}") for notice in ran.document["notices"])
    (bundle,) = ran.document["bundles"]
    assert [*bundle["formats"]] == ["onnx"]
    manifest = json.loads((odd.root / "dist" / "board" / "given" / "manifest.json").read_text())
    (note,) = [line for line in manifest["notes"] if why in line]
    assert note.endswith("taken as a file, not as a module")
    assert odd.run("--target", "board", "--recipe", "integers", "--json").document["ran"] == []
    checked = odd.run("models", "check", "given", "--json").document
    assert checked["techniques"]["int8"] == ""
    assert why in checked["techniques"]["distill"]
