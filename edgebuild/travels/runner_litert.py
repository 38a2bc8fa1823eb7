"""The profile of LiteRT, by its C interface, which tells of the operators inside XNNPACK too; Python's tells none.

`libLiteRt.so` comes with LiteRT's Python package and computes with the same kernels as its interpreter. This file
travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple

if __package__:
    from . import runner_profiles as profiles
else:
    import runner_profiles as profiles  # type: ignore[import-not-found,no-redef]

LIBRARY = "libLiteRt.so"
# LiteRT's numbers (litert/c, tflite/core/api/profiler.h): who computes, how a buffer is locked, and kinds of events.
ON_CPU, TO_WRITE = 1, 1
SPAN, OPERATOR, IN_DELEGATE, STATUS, TELEMETRY = 1, 2, 8, 16, 32
KINDS = (SPAN, OPERATOR, 4, IN_DELEGATE, STATUS, TELEMETRY, 64, 128, 256)
PROFILING, THREADS = b"enable_profiling = true\n", b"num_threads = %d\n"
TYPE_INTS, SIZES_FROM = 256, 2  # more than a tensor's type takes, and where the sizes of its axes stand
HEAD = struct.Struct("=QiiQQ")  # an event's beginning: tag, kind, nothing, start and length in microseconds
INDEX_BEFORE_END = 24  # bytes: the operator's number, one more number, who wrote the event
LARGEST, PATTERN = 256, 0xA5  # bytes of an event at most, and what memory holds that nobody has written
LOWEST = 4096  # no tag lies at a lower address
OUTSIDE, BEGINNING, GRAPH = "LiteRT::Run[", "LiteRT::Run[buffer registration]", "Invoke"
WEIGHTY = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
WEIGHTY_INSIDE = ("Convolution", "Fully Connected", "Deconvolution", "Batch Matrix Multiply")  # as XNNPACK calls them


Shapes = Sequence[Sequence[int]]


class Unprofiled(Exception):
    """This LiteRT, or this file, cannot be profiled; one line says why."""


class Event(NamedTuple):
    """One of a profile; `number` is the operator's in the graph, or within its delegate."""

    tag: str
    kind: int
    start: int
    us: int
    number: int


class Node(NamedTuple):
    """An operator of the graph: its type, and the name and shape of its first output."""

    op: str
    name: str
    output: Optional[List[int]]


class Profiled:
    """A file that is executed with a profile, its inputs and outputs of these shapes, in the order of the graph."""

    def __init__(self, folder: str, model: str, threads: int, inputs: Shapes, outputs: Shapes) -> None:
        """`folder` is LiteRT's package. Unprofiled where its library, or what is needed of it, is not there."""
        try:
            self._library = ctypes.CDLL(os.path.join(folder, LIBRARY))
        except OSError as error:
            raise Unprofiled("this LiteRT has no library that profiles: %s" % error) from None
        self._kept: List[Any] = []
        self._environment = self._make("LiteRtCreateEnvironment", 0, None)
        file = self._make("LiteRtCreateModelFromFile", self._environment, ctypes.c_char_p(os.fsencode(model)))
        self._compiled = self._make("LiteRtCreateCompiledModel", self._environment, file, self._options(threads))
        self._profiler = self._make("LiteRtCompiledModelGetProfiler", self._compiled)
        if not self._profiler.value:
            raise Unprofiled("this LiteRT makes no profile")
        graph = self._make("LiteRtGetModelSubgraph", file, ctypes.c_size_t(0))
        for place, shape in enumerate(inputs):
            sizes = (ctypes.c_size_t(0), ctypes.c_size_t(place), (ctypes.c_int * len(shape))(*shape))
            self._call("LiteRtCompiledModelResizeInputTensor", self._compiled, *sizes, ctypes.c_size_t(len(shape)))
        self._inputs = [self._buffer(graph, "Input", place, shape) for place, shape in enumerate(inputs)]
        self._outputs = [self._buffer(graph, "Output", place, shape) for place, shape in enumerate(outputs)]
        self._call("LiteRtStartProfiler", self._profiler)

    def run(self, arrays: Sequence[Any]) -> None:
        """An inference of raw arrays."""
        for buffer, array in zip(self._inputs, arrays):
            self._fill(buffer, array)
        counted: List[Any] = []
        for side in (self._inputs, self._outputs):
            counted += [ctypes.c_size_t(len(side)), (ctypes.c_void_p * len(side))(*[each.value for each in side])]
        self._call("LiteRtRunCompiledModel", self._compiled, ctypes.c_size_t(0), *counted)

    def events(self) -> List[Event]:
        """All since it was opened. Unprofiled where events are laid out as nobody knows."""
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        space = (ctypes.c_ubyte * (LARGEST * count.value))(*bytes([PATTERN]) * (LARGEST * count.value))
        self._call("LiteRtGetProfilerEvents", self._profiler, count, space)
        return [told(ctypes.string_at(tag).decode(), *rest) for tag, *rest in laid_out(bytes(space), count.value)]

    def _options(self, threads: int) -> Any:
        options = self._make("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ON_CPU)
        unfreed = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        for name, text in ((b"runtime_options_string", PROFILING), (b"xnnpack", THREADS % threads)):
            content = ctypes.create_string_buffer(text)
            self._kept += [content, unfreed]
            arguments = (ctypes.c_char_p(name), ctypes.cast(content, ctypes.c_void_p), unfreed)
            self._call("LiteRtAddOpaqueOptions", options, self._make("LiteRtCreateOpaqueOptions", *arguments))
        return options

    def _buffer(self, graph: Any, side: str, place: int, shape: Sequence[int]) -> Any:
        number, kind = ctypes.c_size_t(place), (ctypes.c_int * TYPE_INTS)()
        self._call("LiteRtGetRankedTensorType", self._make("LiteRtGetSubgraph" + side, graph, number), kind)
        kind[SIZES_FROM : SIZES_FROM + len(shape)] = [int(size) for size in shape]  # where the file leaves some open
        arguments = (self._compiled, ctypes.c_size_t(0), number)
        needed = self._make("LiteRtGetCompiledModel%sBufferRequirements" % side, *arguments)
        return self._make("LiteRtCreateManagedTensorBufferFromRequirements", self._environment, kind, needed)

    def _fill(self, buffer: Any, array: Any) -> None:
        import numpy as np

        content, size, place = np.ascontiguousarray(array), ctypes.c_size_t(), ctypes.c_void_p()
        self._call("LiteRtGetTensorBufferPackedSize", buffer, ctypes.byref(size))
        if size.value != content.nbytes:
            raise Unprofiled("LiteRT takes %d bytes where the input has %d" % (size.value, content.nbytes))
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), TO_WRITE)
        ctypes.memmove(place, content.ctypes.data, content.nbytes)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def _make(self, name: str, *arguments: Any) -> Any:
        """What a function gives by its last argument."""
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        status = function(*arguments) if function else "missing"
        if status:
            raise Unprofiled("LiteRT's profile cannot be had: %s, %s" % (name, status))


def laid_out(space: bytes, count: int) -> List[Tuple[int, int, int, int, int]]:
    """Address of the tag, kind, start, microseconds and index of so many events, which fill the beginning of `space`.

    How large an event is depends on LiteRT's version: what nobody has written still has its pattern. Unprofiled where
    what comes out cannot be events.
    """
    written = len(space.rstrip(bytes([PATTERN])))
    size = -(-written // max(count, 1) // 8) * 8
    events = []
    for start in range(0, count * size, max(size, 1)):
        tag, kind, _, began, us = HEAD.unpack_from(space, start)
        (index,) = struct.unpack_from("=q", space, start + size - INDEX_BEFORE_END)
        events.append((tag, kind, began, us, index))
    if size < HEAD.size + INDEX_BEFORE_END or not all(tag > LOWEST and kind in KINDS for tag, kind, *_ in events):
        raise Unprofiled("this LiteRT lays out its profile in another way")
    return events


def told(tag: str, kind: int, start: int, us: int, index: int) -> Event:
    """An event of what `laid_out` found."""
    return Event(tag, kind, start, us, index)


def inferences(events: Iterable[Event], nodes: Sequence[Node]) -> List[profiles.Inference]:
    """Of the events of a profile; `nodes` are the operators of the graph as the file has them."""
    parts: List[List[Event]] = []
    for event in events:
        if event.tag.startswith(BEGINNING):
            parts.append([])
        if parts:
            parts[-1].append(event)
    return [inference(part, nodes) for part in parts]


def inference(events: Sequence[Event], nodes: Sequence[Node]) -> profiles.Inference:
    """One inference: readings of the clock are two for each span and each operator of the graph.

    A delegate reads it when it begins and after each of its operators. Spans but those outside of the graph (their tags
    begin alike) enclose all operators; with more of them an operator runs a graph of its own, and nothing is said.
    """
    operators: List[profiles.Operator] = []
    readings, enclosing = 0, 0
    weighty = iter(weights_in_order(events, nodes))
    for event in events:
        outside = event.tag.startswith(OUTSIDE)
        if event.kind in (SPAN, STATUS):
            readings, enclosing = readings + (2 if outside else 1), enclosing + (0 if outside else 1)
        elif event.kind == OPERATOR:
            node = nodes[event.number] if 0 <= event.number < len(nodes) else Node(event.tag, "", None)
            operators.append(
                profiles.Operator(node.name, event.tag, node.output, event.us, readings + 1, str(len(operators)))
            )
            readings += 2
        elif event.kind == IN_DELEGATE:
            readings += event.number == 0
            own = next(weighty, None) if event.tag.startswith(WEIGHTY_INSIDE) else None
            name, output = (own.name, own.output) if own else ("", None)
            operators.append(profiles.Operator(name, event.tag, output, event.us, readings, str(len(operators))))
            readings += 1
    runs = sum(event.tag == GRAPH and event.kind == SPAN for event in events)
    readings += enclosing
    return profiles.Inference(operators, (readings, readings) if runs == 1 else None)


def weights_in_order(events: Sequence[Event], nodes: Sequence[Node]) -> List[Node]:
    """The graph's operators with weights that a delegate computes, if it has as many such operators as they are.

    A delegate names its operators by their kind alone; those with weights come in the file's order.
    """
    alone = {event.number for event in events if event.kind == OPERATOR}
    own = [node for place, node in enumerate(nodes) if node.op in WEIGHTY and place not in alone]
    inside = [event for event in events if event.kind == IN_DELEGATE and event.tag.startswith(WEIGHTY_INSIDE)]
    return own if len(own) == len(inside) else []
