"""What every loader of a model file shares: its ports, and real values in and out of what the file stores.

This file travels to devices and in bundles, beside the loaders: Python 3.9 and numpy, nothing of edgebuild.
"""

from __future__ import annotations

import importlib
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

Array = Any  # numpy.ndarray: numpy is imported late, so that its absence can be reported
NHWC = "nhwc"  # channels last; without a layout a tensor is as in PyTorch, channels first
INPUTS, OUTPUTS = "inputs", "outputs"


class RunnerError(Exception):
    """A failure of this kind (see `ERRORS` in runner.py), with one line for the user."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Port(NamedTuple):
    """An input or output as the file has it; -1 in `shape` is open; real value = (stored - zero_point) * scale."""

    name: str
    key: Any
    shape: Tuple[int, ...]
    dtype: Any
    scale: float = 0.0
    zero_point: int = 0
    layout: Optional[str] = None
    axes: Tuple[str, ...] = ()  # the names that the file gives to its axes, "" where it gives none


class AnyModel:
    """A loaded model: `fit` fixes open shapes, `run` maps raw inputs to raw outputs, both by position.

    `spec` may have "threads", "providers", "profile", "fallback" (go on without a provider that is missing: `told` says
    so) and "layouts", {"inputs": one for each input, "outputs": …}, as the converter left them in the file.
    `layerless` says why the runtime cannot tell the time of its operators; None where it can, and then a model opened
    with "profile" gives by `trace`, once, all its inferences. `told` is one line on what a reader of its
    results must know, such as work that ran elsewhere than was asked.
    """

    layerless: Optional[str] = None
    told: Optional[str] = None
    inputs: Sequence[Port] = ()
    outputs: Sequence[Port] = ()

    def fit(self, shapes: Sequence[Tuple[int, ...]]) -> None:
        """Nothing to do for a runtime that takes any shape which the graph leaves open."""

    def run(self, feed: Sequence[Array]) -> List[Array]:
        """Raw outputs for raw inputs, by position."""
        raise NotImplementedError

    def trace(self) -> List[Any]:
        """All inferences, each as `runner_profiles.Inference`; RunnerError where the runtime keeps no profile."""
        raise RunnerError("bad-job", str(self.layerless))

    def answer(self, arrays: Sequence[Array]) -> List[Array]:
        """Real outputs for real inputs of one batch, all laid out as in PyTorch."""
        check(self, [array.shape for array in arrays])
        shapes = [in_file(array.shape, port.layout) for array, port in zip(arrays, self.inputs)]
        if any(-1 in port.shape for port in self.inputs):
            self.fit(shapes)
        raw = self.run([to_raw(array, port) for array, port in zip(arrays, self.inputs)])
        return [to_real(array, port) for array, port in zip(raw, self.outputs)]


def laid_out(ports: Sequence[Port], spec: Mapping[str, Any], side: str) -> List[Port]:
    """The ports with the layouts that a model's spec names for this side, if any."""
    layouts = (spec.get("layouts") or {}).get(side) or [None] * len(ports)
    if len(layouts) != len(ports):
        raise RunnerError("bad-job", "%d layouts are given for %d %s" % (len(layouts), len(ports), side))
    return [port._replace(layout=layout) for port, layout in zip(ports, layouts)]


def check(model: AnyModel, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse inputs, shaped as in PyTorch, that do not match what the model declares."""
    if len(shapes) != len(model.inputs):
        raise RunnerError("bad-input", "the model takes %d inputs, not %d" % (len(model.inputs), len(shapes)))
    for sizes, port in zip(shapes, model.inputs):
        shape = in_file(sizes, port.layout)
        if len(shape) != len(port.shape) or any(d not in (-1, s) for d, s in zip(port.shape, shape)):
            expected, actual = (as_given(each, port.layout) for each in (port.shape, shape))
            raise RunnerError("bad-input", "%s is %s, not %s" % (port.name, expected, actual))


def in_file(shape: Sequence[int], layout: Optional[str]) -> Tuple[int, ...]:
    """The shape that the file has for one as in PyTorch."""
    channels_last = layout == NHWC and len(shape) == 4
    return (shape[0], shape[2], shape[3], shape[1]) if channels_last else tuple(shape)


def as_given(shape: Sequence[int], layout: Optional[str]) -> Tuple[int, ...]:
    """The shape as in PyTorch for one that the file has."""
    channels_last = layout == NHWC and len(shape) == 4
    return (shape[0], shape[3], shape[1], shape[2]) if channels_last else tuple(shape)


def to_raw(array: Array, port: Port) -> Array:
    """What the model stores for real values: laid out as in the file, quantized, or cast where no kind is lost.

    Values that have the file's own type already are taken as stored.
    """
    import numpy as np

    array = np.moveaxis(array, 1, -1) if port.layout == NHWC else array
    if array.dtype == port.dtype:
        return np.asarray(array, order="C")  # ascontiguousarray would give a number an axis
    if port.scale:
        limits = np.iinfo(port.dtype)
        stored = np.rint(array.astype(np.float32) / np.float32(port.scale)) + port.zero_point
        return np.asarray(np.clip(stored, limits.min, limits.max).astype(port.dtype), order="C")
    whole = np.dtype(port.dtype).kind in "iub"
    if not whole and not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise RunnerError("bad-input", "%s is no %s, which %s takes" % (array.dtype, np.dtype(port.dtype), port.name))
    with np.errstate(invalid="ignore", over="ignore"):
        cast = np.asarray(array.astype(port.dtype), order="C")
    if whole and not np.array_equal(cast, array):
        raise RunnerError("bad-input", "%s values do not fit %s %s" % (array.dtype, cast.dtype, port.name))
    return cast


def to_real(array: Array, port: Port) -> Array:
    """Real values of a raw output, laid out as in PyTorch: float32 where it was quantized or half precision."""
    import numpy as np

    array = np.asarray(array)
    array = np.moveaxis(array, -1, 1) if port.layout == NHWC else array
    if port.scale:
        return (array.astype(np.float32) - np.float32(port.zero_point)) * np.float32(port.scale)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def import_first(*names: str) -> Any:
    """The first module of `names` that can be imported."""
    reasons = []
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            reasons.append("%s: %s" % (name, error))
    raise RunnerError("runtime-missing", "; ".join(reasons))
