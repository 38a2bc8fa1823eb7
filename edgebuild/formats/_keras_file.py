"""Opens Keras files of others on Keras' torch backend: nothing in them is run, and what would be code is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _h5_child
from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Port

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

_AT_ONCE = 32  # examples: one by one Keras spends most of its time in Python
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SECONDS, _A_SECOND, _MEMORY = 10, 50_000_000, 1 << 32  # to read a file: at least, bytes in one more, and of memory
_WHOLE = "model.save('model.keras') writes the whole model"
_NO_CODE = "save it from layers of Keras alone, or export it to ONNX or as a SavedModel where its code is"
# Layers that Keras 2 writes with `groups`, and Keras 3 reads without.
_UNGROUPED = ("DepthwiseConv2D", "DepthwiseConv1D", "SeparableConv2D", "SeparableConv1D", "Conv2DTranspose")


@dataclass(frozen=True, slots=True)
class Opened:
    """A keras.Model; `keys` are those of the dictionary that it takes, None where it takes tensors in their order."""

    model: Any
    keys: tuple[str, ...] | None

    @property
    def inputs(self) -> tuple[Port, ...]:
        """In the order in which `call` takes them: by name, where it takes a dictionary."""
        names = self.keys or [tensor.name for tensor in self.model.inputs]
        return tuple(_port(*pair) for pair in zip(names, self.model.inputs, strict=True))

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Named as its signature does: by the keys of a dictionary, else by the layers that they come from."""
        structure = self._given(self.model.inputs)
        layers = [tensor._keras_history.operation.name for tensor in self.model.outputs]
        names = sorted(structure) if isinstance(structure, dict) else layers
        if len({*names}) < len(names):
            names = [f"output_{place}" for place in range(len(names))]
        return tuple(_port(*pair) for pair in zip(names, self.model.outputs, strict=True))

    @property
    def sigmoids(self) -> tuple[str, ...]:
        """The names of the outputs whose layer ends in a sigmoid."""
        layers = [tensor._keras_history.operation for tensor in self.model.outputs]
        ends = [getattr(getattr(layer, "activation", None), "__name__", "") == "sigmoid" for layer in layers]
        return tuple(port.name for port, ends_so in zip(self.outputs, ends, strict=True) if ends_so)

    def call(self, values: Sequence[Any]) -> list[Any]:
        """The tensors [N, …] that it answers to tensors [N, …], as in use and not in training."""
        answer = self._given(values)
        if isinstance(answer, dict):
            return [answer[name] for name in sorted(answer)]
        return [*answer] if isinstance(answer, list | tuple) else [answer]

    def _given(self, values: Sequence[Any]) -> Any:
        if self.keys is not None:
            return self.model(dict(zip(self.keys, values, strict=True)), training=False)
        return self.model([*values] if len(values) > 1 else values[0], training=False)


def opened(path: Path) -> Opened:
    """The model, on the CPU; UsageError for what is none, has code in it, or does not say what it takes."""
    _refuse_code(_config(path))
    keras = backend()
    known = {name: _ungrouped(getattr(keras.layers, name)) for name in _UNGROUPED}
    custom = None if zipfile.is_zipfile(path) else known
    try:
        with keras.device("cpu"):
            model = keras.models.load_model(str(path), custom_objects=custom, compile=False, safe_mode=True)
    except Exception as error:
        raise UsageError(f"is refused by Keras: {_told(error)}", hint=_hint(error)) from None
    if not getattr(model, "inputs", None):
        raise UsageError("is a Keras model that does not say what it takes", hint="save it after it was called once")
    taken = model.get_config().get("input_layers")
    return Opened(model, tuple(sorted(taken)) if isinstance(taken, dict) else None)


def backend() -> Any:
    """The module `keras` on PyTorch, whatever the user's own settings say: those of its home count for nothing here,
    and nothing is written there. UsageError in a process that runs it on another backend already.
    """
    if "keras" not in sys.modules:
        with tempfile.TemporaryDirectory() as home, _environment(KERAS_BACKEND="torch", KERAS_HOME=home):
            import keras
    import keras

    if keras.backend.backend() != "torch":
        raise UsageError(f"Keras runs on {keras.backend.backend()} in this process, and its torch backend is needed")
    return keras


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _port(name: str, tensor: Any) -> Port:
    return Port(name, tuple("?" if size is None else int(size) for size in tensor.shape), str(tensor.dtype))


def answers(path: Path, samples: Iterable[Sample]) -> Iterator[Sample]:
    """What the file answers in Keras to one sample after another, each with a batch of 1."""
    import numpy as np
    import torch

    model, following = opened(path), iter(samples)
    at_once = _AT_ONCE if all(port.shape[0] == "?" for port in model.inputs) else 1
    with backend().device("cpu"), torch.no_grad():
        while block := [*islice(following, at_once)]:
            values = [torch.from_numpy(np.concatenate(column)) for column in zip(*block, strict=True)]
            outputs = [tensor.detach().numpy() for tensor in model.call(values)]
            yield from (tuple(value[row : row + 1] for value in outputs) for row in range(len(block)))


def _config(path: Path) -> dict[str, Any]:
    """How the file describes the model; UsageError for what is no Keras file, and for weights alone."""
    return attempt("is no Keras model, or a damaged one", lambda: _described(path))


def _described(path: Path) -> dict[str, Any]:
    """The same; of a damaged file whatever zipfile, h5py or json raise."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            read = json.loads(archive.read("config.json"))
            for name in (name for name in archive.namelist() if name.endswith(".h5")):
                _read_through(Path(archive.extract(name, folder)))
    else:
        with path.open("rb") as file:
            if file.read(len(_HDF5)) != _HDF5:
                raise UsageError("is no Keras model, neither as .keras nor as .h5: it is damaged, or something else")
        text = _read_through(path)
        if text is None:
            raise UsageError("has weights alone, and not the layers that they are of", hint=_WHOLE)
        read = json.loads(text)
    if not isinstance(read, dict):
        raise ValueError("its config is no object of JSON")
    return read


def _read_through(path: Path) -> str | None:
    """What an HDF5 file says of the model, after a process with limits has read all of it; ValueError where that ends
    in an error, and UsageError where it does not end.
    """
    size = path.stat().st_size
    limits = [_SECONDS + size // _A_SECOND, _MEMORY + 4 * size]
    command = [sys.executable, "-P", "-m", _h5_child.__name__, str(path), *map(str, limits)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        raise UsageError(f"is a damaged Keras model: {limits[0]} s of computing were not enough to read it")
    if done.returncode != 0 or not done.stdout:
        raise UsageError("is a damaged Keras model: reading it ends the process that does")
    reply: dict[str, str | None] = json.loads(done.stdout)
    if (error := reply.get("error")) is not None:
        raise ValueError(error)
    return reply["config"]


def _refuse_code(config: Any) -> None:
    """UsageError for the first part that is code, or that code outside of Keras makes; how it was trained is not read.

    Keras 2 names classes without modules: what it does not know there, it refuses itself.
    """
    parts = {name: value for name, value in config.items() if name != "compile_config"}
    for part in _parts(parts):
        kind, module = str(part["class_name"]), part.get("module", "keras")
        name = part["config"].get("name") if isinstance(part.get("config"), dict) else None
        if kind in ("Lambda", "__lambda__"):
            message = f"has the Lambda layer {name!r}, which is code, and code in a file is not run"
            raise UsageError(message, hint=_NO_CODE)
        if ">" in kind or not (isinstance(module, str) and module.partition(".")[0] == "keras"):
            message = f"has the custom object {part.get('registered_name') or kind!r}, whose code is not in the file"
            raise UsageError(message, hint=_NO_CODE)


def _parts(described: Any) -> Iterator[dict[str, Any]]:
    if isinstance(described, dict):
        if isinstance(described.get("class_name"), str):
            yield described
        for value in described.values():
            yield from _parts(value)
    elif isinstance(described, list):
        for value in described:
            yield from _parts(value)


def _ungrouped(kind: Any) -> Any:
    """A class that reads the layer of Keras 2, and makes the layer of Keras 3."""

    class Ungrouped(kind):  # type: ignore[misc]
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            return kind.from_config({name: value for name, value in config.items() if name != "groups"})

    return Ungrouped


def _told(error: Exception) -> str:
    """The first sentence of what Keras says in the end, behind pages of the file's own text."""
    lines = [line.strip() for line in str(error).rpartition("Exception encountered:")[2].splitlines() if line.strip()]
    return lines[0].partition(". Please")[0] if lines else type(error).__name__


def _hint(error: Exception) -> str | None:
    return _NO_CODE if "Unknown layer" in str(error) or "custom" in str(error) else None
