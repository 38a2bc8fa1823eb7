"""Opens Keras files of others on Keras' torch backend: nothing in them is run, and what would be code is refused."""

from __future__ import annotations

import copy
import json
import os
import shutil
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

from edgebuild.formats import _h5_child, _keras_torch, _keras_two
from edgebuild.formats._adopted import attempt
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Port

if TYPE_CHECKING:
    import numpy as np

    Sample = tuple[np.ndarray[Any, Any], ...]

_MODERN = 3  # the version of Keras that reads files here
_AT_ONCE = 32  # examples: one by one Keras spends most of its time in Python
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SECONDS, _A_SECOND, _MEMORY = 10, 50_000_000, 1 << 32  # to read a file: at least, bytes in one more, and of memory
_WHOLE = "model.save('model.keras') writes the whole model"
_NO_CODE = "save it from layers of Keras alone, or export it to ONNX or as a SavedModel where its code is"
_CONFIG, _METADATA = "config.json", "metadata.json"  # in a .keras
_NO_LAYER = "export it to ONNX or as a SavedModel by the Keras that made it: this one has no such layer"


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
    described, version = _config(path)
    modern, archive = copy.deepcopy(described), zipfile.is_zipfile(path)
    if _old(version):
        _keras_two.rewrite(modern, flat=not archive)
    if not archive:
        _keras_two.keep_axes(modern)
    _refuse_code(modern)
    keras = backend()
    flat = () if archive else _keras_two.OF_AXES
    custom = {name: _of_axes(getattr(keras.layers, name)) for name in flat}
    if _old(version):
        custom[_keras_two.HARD] = _hard_sigmoid(keras)
    try:
        with (
            _saying(path, modern, described != modern) as file,
            keras.device("cpu"),
            keras.saving.custom_object_scope(custom),
        ):
            model = keras.models.load_model(str(file), compile=False, safe_mode=True)
    except Exception as error:
        raise UsageError(f"is refused by Keras: {_told(error)}", hint=_hint(error, _old(version))) from None
    if not getattr(model, "inputs", None):
        raise UsageError("is a Keras model that does not say what it takes", hint="save it after it was called once")
    for layer in model._flatten_layers(include_self=False):
        _keras_torch.correct(layer)
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


def _config(path: Path) -> tuple[dict[str, Any], str]:
    """How the file describes the model, and by which version of Keras (empty where it does not say); UsageError for
    what is no Keras file, and for weights alone.
    """
    return attempt("is no Keras model, or a damaged one", lambda: _described(path))


def _described(path: Path) -> tuple[dict[str, Any], str]:
    """The same; of a damaged file whatever zipfile, h5py or json raise."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            read = json.loads(archive.read(_CONFIG))
            metadata = json.loads(archive.read(_METADATA)) if _METADATA in archive.namelist() else {}
            version = metadata.get("keras_version")
            for name in (name for name in archive.namelist() if name.endswith(".h5")):
                _read_through(Path(archive.extract(name, folder)))
    else:
        with path.open("rb") as file:
            if file.read(len(_HDF5)) != _HDF5:
                raise UsageError("is no Keras model, neither as .keras nor as .h5: it is damaged, or something else")
        text, version = _read_through(path)
        if text is None:
            raise UsageError("has weights alone, and not the layers that they are of", hint=_WHOLE)
        read = json.loads(text)
    if not isinstance(read, dict):
        raise ValueError("its config is no object of JSON")
    return read, str(version or "")


def _read_through(path: Path) -> tuple[str | None, str | None]:
    """What an HDF5 file says of the model and its version of Keras, after a process with limits has read all of it;
    ValueError where that ends in an error, and UsageError where it does not end.
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
    return reply["config"], reply["version"]


def _old(version: str) -> bool:
    """Whether a file is of Keras 2 or before: what says no version is, since Keras 3 always does."""
    major = version.partition(".")[0]
    return not major.isdigit() or int(major) < _MODERN


@contextmanager
def _saying(path: Path, described: dict[str, Any], changed: bool) -> Iterator[Path]:
    """A file of the same weights that describes the model so: the file itself, where nothing changed."""
    if not changed:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        written, text = Path(folder, path.name), json.dumps(described)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, zipfile.ZipFile(written, "w") as other:
                for name in archive.namelist():
                    other.writestr(name, text if name == _CONFIG else archive.read(name))
        else:
            import h5py

            shutil.copyfile(path, written)
            with h5py.File(written, "r+") as file:
                file.attrs[_h5_child.ATTRIBUTE] = text.encode()
        yield written


def _refuse_code(config: Any) -> None:
    """UsageError for the first part that is code, or that code outside of Keras makes; how it was trained is not read.

    Keras 2 names classes without modules: what it does not know there, it refuses itself.
    """
    read = {name: value for name, value in config.items() if name != "compile_config"}
    for part in _keras_two.parts(read):
        kind, module = str(part["class_name"]), part.get("module", "keras")
        name = part["config"].get("name") if isinstance(part.get("config"), dict) else None
        if kind in ("Lambda", "__lambda__"):
            message = f"has the Lambda layer {name!r}, which is code, and code in a file is not run"
            raise UsageError(message, hint=_NO_CODE)
        if ">" in kind or not (isinstance(module, str) and module.partition(".")[0] == "keras"):
            message = f"has the custom object {part.get('registered_name') or kind!r}, whose code is not in the file"
            raise UsageError(message, hint=_NO_CODE)


def _of_axes(kind: Any) -> Any:
    """A class that reads the layer of an .h5 with its axes."""

    class OfAxes(kind):  # type: ignore[misc]
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            own = dict(config)
            if _keras_two.AXES in own:
                own["axis"] = own.pop(_keras_two.AXES) or None
            return kind.from_config(own)

    return OfAxes


def _hard_sigmoid(keras: Any) -> Any:
    """The function of Keras 2 under its name."""

    def hard_sigmoid(values: Any) -> Any:
        return keras.ops.clip(0.2 * values + 0.5, 0.0, 1.0)

    return hard_sigmoid


def _told(error: Exception) -> str:
    """The first sentence of what Keras says in the end, behind pages of the file's own text."""
    lines = [line.strip() for line in str(error).rpartition("Exception encountered:")[2].splitlines() if line.strip()]
    return lines[0].partition(". Please")[0] if lines else type(error).__name__


def _hint(error: Exception, old: bool) -> str | None:
    unknown = "Unknown layer" in str(error) or "KerasSaveable" in str(error)
    return _NO_LAYER if unknown and old else _NO_CODE if unknown or "custom" in str(error) else None
