"""What a model file answers, example by example, in the runtime that is made for it."""

from __future__ import annotations

import warnings
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.registry import FORMATS
from tests import tiny

Array = NDArray[np.float32]


def formats() -> list[Any]:
    """Every format as a test's parameter; one whose packages are not here says what would install them."""
    return [pytest.param(name, marks=installed(name)) for name in tiny.FILES]


def installed(format_name: str) -> pytest.MarkDecorator:
    """Skips a test of a format whose packages are not here."""
    lacking = ", ".join(tiny.lacking(format_name))
    return pytest.mark.skipif(bool(lacking), reason=f"no {lacking}: pip install '.[{format_name}]'")


def torch_answers(made: tiny.Made, artifact: str = "float", count: int = 100) -> Array:
    """The torch model's answers to the first held-out examples."""
    import torch

    module = checkpoint.load(made[artifact]).module
    test = dataset.read(made["data"], "test")
    with torch.no_grad():
        found = module(*(torch.from_numpy(np.array(values[:count])) for values in test.inputs))
    return np.asarray(found)


def file_answers(made: tiny.Made, artifact: str, count: int = 100) -> Array:
    """The same for a model file."""
    run = {"onnx": _onnx, "tflite": _tflite, "pte": _pte}[tiny.kind(artifact)](made.file(artifact))
    inputs = dataset.read(made["data"], "test").inputs
    return np.concatenate([run([np.array(values[k : k + 1]) for values in inputs]) for k in range(count)])


def accuracy(made: tiny.Made, answers: Array) -> float:
    """The share of the first held-out examples that the answers get right."""
    return float((answers.argmax(1) == dataset.read(made["data"], "test").labels[0][: len(answers)]).mean())


def _onnx(path: Path):  # type: ignore[no-untyped-def]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda values: session.run(None, dict(zip(names, values, strict=True)))[0]


def _tflite(path: Path):  # type: ignore[no-untyped-def]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    inputs = sorted(interpreter.get_input_details(), key=lambda detail: detail["name"])
    last, _ = FORMATS.get("tflite")().layouts_of(path.read_bytes())
    (output,) = interpreter.get_output_details()

    def run(values: list[Array]) -> Array:
        for detail, value, layout in zip_longest(inputs, values, last):
            placed = value.transpose(0, 2, 3, 1) if layout == "nhwc" else value
            interpreter.set_tensor(detail["index"], placed.astype(detail["dtype"]))
        interpreter.invoke()
        answer: Array = interpreter.get_tensor(output["index"])
        return answer

    return run


def _pte(path: Path):  # type: ignore[no-untyped-def]
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls itself experimental
        from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")
    return lambda values: method.execute([torch.from_numpy(value) for value in values])[0].numpy()
