"""What a measured file is fed: arrays of the shapes that it declares, that the user names, or that a file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.devices.jobs.result import Port
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

Shape = tuple[int, ...]

_SHAPE, _INPUTS = "--shape", "--inputs"


@dataclass(frozen=True, slots=True)
class Fed:
    """What one input got: its name, the shape and element type of the file's tensor, and where the values come from."""

    name: str
    shape: Shape
    dtype: str
    source: str


def parse_shapes(texts: Iterable[str]) -> dict[str, Shape]:
    """Shapes by input, of texts such as "image=1,3,48,192"; "threshold=" is a scalar. UsageError for any other."""
    shapes: dict[str, Shape] = {}
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        words = sizes.split(",") if sizes else []
        if not (name and equals and all(word.strip().isdecimal() and int(word) > 0 for word in words)):
            raise UsageError(f"{text!r} is not NAME=SIZE,SIZE,… of whole numbers above zero", key=_SHAPE)
        if name in shapes:
            raise UsageError(f"names {name!r} twice", key=_SHAPE)
        shapes[name] = tuple(int(word) for word in words)
    return shapes


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz by name; UsageError for what is none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy, zipfile and zlib raise classes of their own, and one array has no files
        if exhausted(error):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is no .npz of named arrays"
        raise UsageError(str(reason), file=str(path), key=_INPUTS) from None


class Feeder:
    """Chooses what the inputs of one file get."""

    def __init__(self, model: Path, ports: Sequence[Port]) -> None:
        """`ports` are the inputs of `model` by position."""
        self._model, self._ports = model, ports
        self._names = [port.name for port in ports]

    def from_file(self, arrays: Mapping[str, Array], source: str) -> tuple[list[Array], tuple[Fed, ...]]:
        """The arrays as they are, by the names of inputs or by position; UsageError where one does not fit."""
        positions = [str(number) for number in range(len(self._ports))]
        keys = positions if {*arrays} == {*positions} else self._names
        for name in arrays.keys() - {*keys}:
            raise self._unknown(name, _INPUTS)
        for name in keys:
            if name not in arrays:
                raise UsageError(f"has no array {name!r}", file=source, key=_INPUTS)
        chosen = [arrays[key] for key in keys]
        for port, array in zip(self._ports, chosen, strict=True):
            self._check_shape(port, array.shape, _INPUTS)
            self._check_type(port, array)
        return chosen, self._fed(chosen, source)

    def random(self, shapes: Mapping[str, Shape], seed: int) -> tuple[list[Array], tuple[Fed, ...]]:
        """Random values, of `shapes` where they are named; UsageError for open axes that nobody has named.

        An open first axis is taken for the batch, which is then 1.
        """
        import numpy as np

        for name in shapes.keys() - {*self._names}:
            raise self._unknown(name, _SHAPE)
        for port in self._ports:
            if port.name in shapes:
                self._check_shape(port, shapes[port.name], _SHAPE)
        self._check_open([port for port in self._ports if port.name not in shapes])
        generator = np.random.default_rng(seed)
        chosen = [_values(generator, port, shapes.get(port.name, _closed(port))) for port in self._ports]
        return chosen, self._fed(chosen, "random")

    def _fed(self, chosen: Sequence[Array], source: str) -> tuple[Fed, ...]:
        pairs = zip(self._ports, chosen, strict=True)
        return tuple(Fed(port.name, tuple(array.shape), port.dtype, source) for port, array in pairs)

    def _unknown(self, name: str, key: str) -> UsageError:
        hint = suggest(name, self._names)
        return UsageError(f"has no input {name!r}", file=str(self._model), key=key, hint=hint)

    def _check_open(self, ports: Sequence[Port]) -> None:
        opened = {port.name: [axis for axis, size in enumerate(port.shape) if size < 0 < axis] for port in ports}
        open_axes = [_axes(port, opened[port.name]) for port in ports if opened[port.name]]
        if open_axes:
            port = next(port for port in ports if opened[port.name])
            sizes = ",".join(
                str(max(size, 1)) if axis == 0 or size > 0 else "N" for axis, size in enumerate(port.shape)
            )
            hint = f"--shape {port.name}={sizes} with a number for each N, or --inputs FILE.npz"
            raise UsageError(f"leaves dimensions open: {'; '.join(open_axes)}", file=str(self._model), hint=hint)

    def _check_shape(self, port: Port, shape: Shape, key: str) -> None:
        declared = port.shape
        if len(shape) != len(declared) or any(size not in (-1, own) for size, own in zip(declared, shape, strict=True)):
            message = f"input {port.name!r} is {_shown(port)}, not {list(shape)}"
            raise UsageError(message, file=str(self._model), key=key)

    def _check_type(self, port: Port, array: Array) -> None:
        """As the file stores it, or real values where it stores quantized ones: the runner quantizes these."""
        if array.dtype.name != port.dtype and not (port.quantized and array.dtype.kind == "f"):
            expected = port.dtype + (" or real values" if port.quantized else "")
            message = f"input {port.name!r} is {expected}, not {array.dtype.name}"
            raise UsageError(message, file=str(self._model), key=_INPUTS)


def _closed(port: Port) -> Shape:
    return tuple(max(int(size), 1) for size in port.shape)


def _axes(port: Port, axes: Sequence[int]) -> str:
    named = [f"axis {axis} ({port.axes[axis]})" if any(port.axes[axis : axis + 1]) else f"axis {axis}" for axis in axes]
    return f"input {port.name!r} {', '.join(named)}"


def _shown(port: Port) -> str:
    return f"[{', '.join('open' if size < 0 else str(size) for size in port.shape)}]"


def _values(generator: Any, port: Port, shape: Shape) -> Array:
    """Values of the file's own type; whole numbers are mostly indices, so small, but for pictures of 8 bits."""
    import numpy as np

    dtype: np.dtype[Any] = np.dtype(port.dtype)
    if port.quantized or dtype.kind == "f":
        real: Array = generator.uniform(-1, 1, shape)
        return np.asarray(real).astype(np.float32 if port.quantized else dtype)
    limits = np.iinfo(dtype) if dtype.kind in "iu" and dtype.itemsize == 1 else None
    low, high = (limits.min, limits.max + 1) if limits else (0, 2)
    whole: Array = np.asarray(generator.integers(low, high, shape)).astype(dtype)
    return whole
