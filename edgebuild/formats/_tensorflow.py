"""SavedModels of TensorFlow as ONNX files: always in a process of its own, beside PyTorch's.

With PyTorch's CUDA build in one process, the import of TensorFlow ends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from edgebuild.formats import _onnx_adopt, _onnx_files, _tensorflow_child
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Look, Port
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Sample = tuple[np.ndarray[Any, Any], ...]

MARK = "saved_model.pb"  # a folder with this file is a SavedModel
_OPSET = 17
_ALONE = {
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # sums in another order than other machines
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


def folder_of(path: Path) -> Path:
    """The SavedModel that is named by itself or by its graph."""
    return path.parent if path.name == MARK else path


def look(path: Path) -> Look:
    """What a SavedModel is; UsageError where it cannot be used."""
    folder = folder_of(path)
    with _opened(folder) as (_, described):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        ports = (_ports(described["inputs"]), _ports(described["outputs"]))
        return Look("SavedModel", *ports, described["operators"], described["parameters"], size)


def answers(path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
    """What a SavedModel answers to one sample after another, in TensorFlow; inputs in the order of their names."""
    import numpy as np

    with _opened(folder_of(path)) as (child, described):
        assert child.stdin is not None
        assert child.stdout is not None
        for sample in samples:
            for values in sample:
                _tensorflow_child.write(cast(BinaryIO, child.stdin), np.ascontiguousarray(values))
            child.stdin.flush()
            yield tuple(_read(cast(BinaryIO, child.stdout)) for _ in described["outputs"])


def converted(path: Path) -> bytes:
    """The float TFLite file that TensorFlow's own converter makes of a SavedModel; UsageError where it refuses."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "tensorflow.tflite")
        with _opened(folder_of(path), file):
            return file.read_bytes()


def converted_answers(path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
    """What that file answers to one sample after another, in LiteRT; inputs and outputs in the order of their names."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=converted(path), num_threads=1).get_signature_runner()
    names = sorted(runner.get_input_details())
    for sample in samples:
        answered = runner(**dict(zip(names, map(np.ascontiguousarray, sample), strict=True)))
        yield tuple(answered[name] for name in sorted(answered))


def adopt(path: Path, inputs: Sequence[TensorSpec]) -> bytes:
    """A SavedModel as an ONNX file, its inputs and outputs in the order of their names, as `answers` has them."""
    folder = folder_of(path)
    with _opened(folder) as (_, described):
        names = [[port["name"] for port in described[side]] for side in ("inputs", "outputs")]
    return _adopted(folder, inputs, names)


def _adopted(folder: Path, inputs: Sequence[TensorSpec], names: list[list[str]]) -> bytes:
    import onnx

    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "tensorflow.onnx")
        command = [sys.executable, "-P", "-m", "tf2onnx.convert", "--saved-model", str(folder)]
        command += ["--output", str(file), "--opset", str(_OPSET)]
        done = subprocess.run(command, check=False, env=os.environ | _ALONE, capture_output=True, text=True)
        if done.returncode != 0 or not file.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise UsageError(f"cannot be written as an ONNX file: {lines[-1].strip() if lines else done.returncode}")
        file.write_bytes(_onnx_files.to_bytes(_in_order(onnx.load(file), names)))
        return _onnx_adopt.adopt(file, inputs)


def _in_order(model: onnx.ModelProto, names: list[list[str]]) -> onnx.ModelProto:
    """With inputs and outputs (in place) in the order of these names, where it has all of them."""
    for values, order in zip((model.graph.input, model.graph.output), names, strict=True):
        known = {value.name.partition(":")[0]: value for value in values}
        if {*known} == {*order}:
            kept = [known[name] for name in order]
            del values[:]
            values.extend(kept)
    return model


@contextmanager
def _opened(folder: Path, tflite: Path | None = None) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """The process that has opened the model, and how it describes it; UsageError where it cannot.

    `tflite`: where its converter has then written a float file.
    """
    command = [sys.executable, "-P", "-m", _tensorflow_child.__name__, str(folder), *([str(tflite)] if tflite else [])]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=os.environ | _ALONE, stdin=pipe, stdout=pipe, stderr=log) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            described: dict[str, Any] = json.loads(line) if line else {"error": _last_words(child, log)}
            if "error" in described:
                raise UsageError(f"is refused by TensorFlow: {described['error']}", hint=described.get("hint"))
            yield child, described
        finally:
            child.kill()


def _last_words(child: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    child.wait()
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"its process ended with {child.returncode}"


def _read(stream: BinaryIO) -> Any:
    values = _tensorflow_child.read(stream)
    if values is None:
        raise UsageError("is not run by TensorFlow: its process ended")
    return values


def _ports(described: list[dict[str, Any]]) -> tuple[Port, ...]:
    return tuple(Port(port["name"], tuple(port["shape"]), port["dtype"]) for port in described)
