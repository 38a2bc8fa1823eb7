"""The model repository says what the file is: its configuration is read back by the grammar, and its files by ONNX."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_model
import onnxruntime
import pytest

from edgebuild.bundle import golden, manifest
from tests.bundle.kinds.conftest import Package, run

TOKEN = re.compile(r'\s*(?:#.*\n\s*)*("(?:[^"\\]|\\.)*"|[{}]|[\w.+-]+:?)')


def message(tokens: list[str]) -> dict[str, list[Any]]:
    """The fields of a message in the text format of protocol buffers; `tokens` are used up."""
    fields: dict[str, list[Any]] = defaultdict(list)
    while tokens and (name := tokens.pop(0)) != "}":
        value: Any = tokens.pop(0)
        if value == "{":
            value = message(tokens)
        elif value.startswith('"'):
            value = value[1:-1]
        fields[name.rstrip(":")].append(value)
    return fields


def config(folder: Path) -> dict[str, list[Any]]:
    text = (folder / "tiny_board" / "config.pbtxt").read_text()
    assert "".join(TOKEN.findall(text)).replace(" ", "") != ""
    assert TOKEN.sub("", text).strip() == ""  # nothing that is no token
    return message(TOKEN.findall(text))


@pytest.fixture(scope="module")
def repository(onnx: Path, package: Package) -> Path:
    """The package."""
    return package(onnx, "triton")


def test_the_configuration_is_the_files_own_signature(repository: Path) -> None:
    said = config(repository)
    session = onnxruntime.InferenceSession(str(repository / "tiny_board" / "1" / "model.onnx"))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (said["name"], said["backend"], said["max_batch_size"]) == (["tiny_board"], ["onnxruntime"], ["0"])
    assert [dict(each) for each in said["input"]] == [
        {"name": [taken.name], "data_type": ["TYPE_FP32"], "dims": [str(size) for size in taken.shape]}
    ]
    assert [dict(each) for each in said["output"]] == [
        {
            "name": [given.name],
            "data_type": ["TYPE_FP32"],
            "dims": [str(size) for size in given.shape],
            "label_filename": ["labels_0.txt"],
        }
    ]
    assert (repository / "tiny_board" / "labels_0.txt").read_text().splitlines()[0] == "top left"
    assert "dynamic_batching" not in said
    threads = {each["key"][0]: each["value"][0]["string_value"][0] for each in said["parameters"]}
    assert threads == {"intra_op_thread_count": "2", "inter_op_thread_count": "1"}


def test_warm_up_is_a_golden_input_and_what_it_answers_is_known(onnx: Path, repository: Path) -> None:
    (warm,) = config(repository)["model_warmup"]
    ((entry,),) = ([each["value"] for each in warm["inputs"]],)
    (value,) = entry
    shape = [int(size) for size in value["dims"]]
    raw = (repository / "tiny_board" / "warmup" / value["input_data_file"][0]).read_bytes()
    example = np.frombuffer(raw, np.float32).reshape(shape)
    session = onnxruntime.InferenceSession(str(repository / "tiny_board" / "1" / "model.onnx"))
    (answer,) = session.run(None, {session.get_inputs()[0].name: example})
    facts = manifest.verify_bundle(onnx)
    assert facts.golden is not None
    assert np.abs(answer[0] - golden.read(repository, facts.golden)[1][0][0]).max() <= facts.golden.tolerance[0]


def test_a_file_whose_batch_is_open_is_batched(onnx: Path, package: Package, tmp_path: Path) -> None:
    copy = shutil.copytree(onnx, tmp_path / "bundle")
    model = onnx_model.load(copy / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx_model.save(model, copy / "model.onnx")
    facts = manifest.read_bundle(copy)
    (part,) = facts.parts
    quick = replace(part, runtime=replace(part.runtime, providers=("TensorrtExecutionProvider",)))
    manifest.seal(copy, replace(facts, parts=(quick,)))
    said = config(package(copy, "triton"))
    assert said["max_batch_size"] == ["8"]
    assert said["input"][0]["dims"] == ["1", "12", "12"]
    assert said["output"][0]["dims"] == ["4"]
    assert len(said["dynamic_batching"]) == 1
    assert said["instance_group"][0]["kind"] == ["KIND_GPU"]
    (accelerators,) = said["optimization"][0]["execution_accelerators"]
    assert accelerators["gpu_execution_accelerator"][0]["name"] == ["tensorrt"]


def test_what_triton_has_no_backend_for_is_refused(lite: Path, tmp_path: Path) -> None:
    code, told = run(lite, "--as", "triton", "--out", tmp_path / "out")
    assert (code, "is of tflite, and 'triton' packages one onnx file" in told) == (2, True)
