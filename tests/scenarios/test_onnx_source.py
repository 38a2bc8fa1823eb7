"""Somebody's ONNX file, with its weights beside it and an open batch, becomes a judged bundle without PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

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


PACKED = '''\
"""A model in a .zip: a source that edgebuild knows nothing of."""

import zipfile
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.sources import onnx
from edgebuild.spec.source import Making, ProjectFile, Source
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.import_file import ImportFile


@dataclass(frozen=True, slots=True)
class Packed(Source):
    archive: str
    kind: ClassVar[str] = "onnx"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    instead: ClassVar[str] = "unpack it and give a builder"

    def float(self, model):
        step = ImportFile(self, self.archive, model.declared.signature.bare, f"{model.origin}/{self.archive}")
        return Making(step, {"file": (ProjectFile(self.archive, "source.archive"),)}, code=(__name__,))

    def reference(self, split):
        return Making(OriginalOutputs(self, self.archive, split), code=(__name__,))

    def adopt(self, path, inputs):
        return onnx.Onnx("model.onnx").adopt(self._unpacked(path), inputs)

    def integer(self, model):
        return None

    def answers(self, path, samples):
        return onnx.Onnx("model.onnx").answers(self._unpacked(path), samples)

    def _unpacked(self, path):
        import tempfile
        from pathlib import Path

        with zipfile.ZipFile(path) as archive:
            return Path(archive.extract("model.onnx", tempfile.mkdtemp()))
'''
INFO = {
    "METADATA": "Name: packed\nVersion: 1.0\n",
    "entry_points.txt": "[edgebuild.sources]\npacked = packed_source:Packed\n",
}


def with_plugin(site: Path, text: str = PACKED) -> str:
    """The folder of a package with that source, as if it were installed."""
    (site / "packed-1.0.dist-info").mkdir(parents=True)
    (site / "packed_source.py").write_text(text)
    for name, content in INFO.items():
        (site / "packed-1.0.dist-info" / name).write_text(content)
    return str(site)


def test_a_source_of_another_package_is_one_file(given: Workspace, made: tiny.Made, tmp_path: Path) -> None:
    folder = given.root / "models" / "packed"
    shutil.copytree(given.root / "models" / "given", folder, ignore=shutil.ignore_patterns("net"))
    text = (folder / "model.toml").read_text().partition("[source]")[0]
    (folder / "model.toml").write_text(f'{text}[source]\nuse = "packed"\narchive = "net.zip"\n')
    with zipfile.ZipFile(folder / "net.zip", "w") as archive:
        archive.write(made.file("onnx"), "model.onnx")
    (given.root / "recipes" / "half.toml").write_text('description = "Half"\nsteps = [{use = "float16"}]\n')
    arguments = ("--target", "board", "--recipe", "half", "--model", "packed", "--json")
    ran = given.run(*arguments, PYTHONPATH=with_plugin(tmp_path / "whole"))
    assert ran.code == 1, ran.err  # the size gate: half of the bytes is not enough
    (bundle,) = ran.document["bundles"]
    judged = bundle["formats"]["onnx"]
    statuses = {verdict["metric"]: verdict["status"] for verdict in judged["verdicts"]}
    assert statuses == {"accuracy": "pass", "size": "fail", "parity": "pass"}
    lacking = PACKED.replace("    def reference(", "    def referred(")
    ran = given.run(*arguments, PYTHONPATH=with_plugin(tmp_path / "lacking", lacking))
    assert (ran.code, "source 'packed' lacks 'reference'" in ran.err, ran.err.count("\n")) == (2, True, 1)
    ran = given.run(*arguments)
    assert (ran.code, "source.use: unknown source 'packed'" in ran.err) == (2, True)
