"""The wheel is one that pip installs, and its `predict` answers the golden inputs where edgebuild is not."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.bundle import golden, manifest
from edgebuild.bundle.kind import Contents
from edgebuild.bundle.kinds import wheel
from edgebuild.spec.signature import State
from tests.bundle.kinds.conftest import Package

PROGRAM = """
import inspect, json, sys
import numpy as np
import tiny_board
with np.load(sys.argv[1]) as stored:
    inputs, outputs = stored["input/0"], stored["output/0"]
answers = np.stack([tiny_board.predict(one) for one in inputs])
try:
    tiny_board.predict(np.zeros([2, 2]))
except ValueError as error:
    refusal = str(error)
tiny_board.self_test()
told = {
    "off": float(np.abs(answers - outputs).max()),
    "dtype": str(answers.dtype),
    "refusal": refusal,
    "labels": tiny_board.LABELS,
    "signature": str(inspect.signature(tiny_board.predict)),
    "read": [list(one.shape) for one in tiny_board.read(sys.argv[2])],
    "ours": [name for name in sys.modules if name.startswith("edgebuild")],
}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def file(lite: Path, package: Package) -> Path:
    """The wheel."""
    (path,) = package(lite, "wheel", "--release", "1.2").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where pip has put it."""
    target = tmp_path_factory.mktemp("target")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target"]
    subprocess.run(
        [*command, str(target), str(file)], check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    )
    return target


def test_pip_installs_it_and_predict_answers_the_golden_inputs(lite: Path, installed: Path, tmp_path: Path) -> None:
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PROGRAM, str(lite / facts.golden.file), str(lite / "sample.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["off"] <= facts.golden.tolerance[0]
    assert told["dtype"] == "float32"
    assert told["refusal"] == "image is [2, 2], not [1, 12, 12]"
    assert told["labels"] == ["top left", "top right", "bottom left", "bottom right"]
    assert told["signature"] == "(image: 'ArrayLike') -> 'NDArray[np.float32]'"
    assert told["read"] == [[1, 12, 12]]
    assert told["ours"] == []
    assert (golden.read(lite, facts.golden)[0][0]).shape == (4, 1, 12, 12)


def test_what_was_judged_is_inside_and_still_proves_itself(lite: Path, installed: Path, tmp_path: Path) -> None:
    inside = shutil.copytree(
        installed / "tiny_board" / "_bundle", tmp_path / "b", ignore=shutil.ignore_patterns("*.pyc")
    )
    assert manifest.verify_bundle(inside) == manifest.verify_bundle(lite)


def test_a_model_that_answers_otherwise_fails_its_self_test(installed: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(installed, tmp_path / "copy")
    place = copy / "tiny_board" / "_bundle" / "golden.npz"
    with np.load(place) as stored:
        arrays = dict(stored)
    np.savez(place, **{**arrays, "output/0": arrays["output/0"] + 1})
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run([sys.executable, "-m", "tiny_board"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "RuntimeError: output of golden input 0 is off by" in done.stderr


def test_it_says_what_it_needs_and_that_it_is_typed(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = csv.reader(archive.read("tiny_board-1.2.dist-info/RECORD").decode().splitlines())
        sums = {name: (digest, size) for name, digest, size in record}
        assert [*sums] == names
        for name in names[:-1]:
            digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).decode().rstrip("=")
            assert sums[name] == (f"sha256={digest}", str(archive.getinfo(name).file_size))
        metadata = archive.read("tiny_board-1.2.dist-info/METADATA").decode()
    assert file.name == "tiny_board-1.2-py3-none-any.whl"
    assert "tiny_board/py.typed" in names
    assert names[-1] == "tiny_board-1.2.dist-info/RECORD"
    assert "Requires-Dist: numpy>=1.24" in metadata
    assert "Requires-Dist: ai-edge-litert==" in metadata


def test_several_inputs_outputs_and_states_have_a_parameter_each(lite: Path, tmp_path: Path) -> None:
    facts = manifest.verify_bundle(lite)
    (image,), (output,) = facts.inputs, facts.outputs
    inputs = (replace(image, name="state", state=State("next", 0.5)), replace(image, name="class"))
    outputs = (output, replace(output, name="next", meaning='a "state"'))
    text = "\n".join(wheel._module(Contents(lite, replace(facts, inputs=inputs, outputs=outputs))))
    ast.parse(text, feature_version=(3, 9))
    assert "def predict(tensor_1: ArrayLike, tensor_0: Optional[ArrayLike] = None) -> Answer:" in text
    assert "_example('tensor_0', tensor_0, (1, 12, 12), 'float32', 0.5)," in text
    assert "    next: NDArray[np.float32]" in text
