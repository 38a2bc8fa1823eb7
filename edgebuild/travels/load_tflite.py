"""Opens .tflite models in the LiteRT (or older tflite_runtime) interpreter.

This file travels to devices and in bundles: Python 3.9, numpy and the runtime, nothing of edgebuild.
"""

from __future__ import annotations

import importlib
import os
import re
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple, Union

if __package__:
    from . import model_values as values
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]

SUFFIXES = (".tflite",)
PROFILER = "runner_litert"
PACKAGES = ("ai-edge-litert", "tflite-runtime")  # distributions of which any executes such files


class Model(values.AnyModel):
    """A .tflite model, from its path or its content."""

    def __init__(self, model: Union[str, bytes], spec: Mapping[str, Any]) -> None:
        source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
        self._interpreter = self.runtime().Interpreter(num_threads=int(spec.get("threads", 1)), **source)
        try:
            self._interpreter.allocate_tensors()
        except RuntimeError:  # an operator may not take the size 1 that open axes are stored with: `fit` has others
            if not any(-1 in detail["shape_signature"] for detail in self._interpreter.get_input_details()):
                raise
        self._profiled = None  # what executes the file where a profile is asked for: see `fit`
        self._profiles = (model, int(spec.get("threads", 1))) if spec.get("profile") else None
        self.inputs = values.laid_out(ports(self._interpreter, "input"), spec, values.INPUTS)
        self.outputs = values.laid_out(ports(self._interpreter, "output"), spec, values.OUTPUTS)

    @staticmethod
    def runtime() -> Any:
        """The module that executes models; RunnerError where there is none."""
        return values.import_first("ai_edge_litert.interpreter", "tflite_runtime.interpreter")

    def fit(self, shapes: Sequence[Tuple[int, ...]]) -> None:
        """Give open inputs these shapes."""
        for port, shape in zip(self.inputs, shapes):
            if -1 in port.shape:
                self._interpreter.resize_tensor_input(port.key, shape, strict=True)
        self._interpreter.allocate_tensors()
        if self._profiles is not None:
            self._profile(*self._profiles)

    def run(self, feed: Sequence[Any]) -> List[Any]:
        """Raw outputs for raw inputs, by position; none where a profile is made."""
        interpreter = self._interpreter
        if self._profiled is not None:
            by_tensor = {port.key: array for port, array in zip(self.inputs, feed)}
            self._profiled.run([by_tensor[detail["index"]] for detail in interpreter.get_input_details()])
            return []
        for port, array in zip(self.inputs, feed):
            interpreter.set_tensor(port.key, array)
        interpreter.invoke()
        return [interpreter.get_tensor(port.key) for port in self.outputs]

    def trace(self) -> List[Any]:
        """Its inferences, by LiteRT's own profile."""
        profiling, tensors = profiler(), {each["index"]: each for each in self._interpreter.get_tensor_details()}
        nodes = []
        for each in self._interpreter._get_ops_details():
            first = tensors[int(each["outputs"][0])] if len(each["outputs"]) else {"name": "", "shape": ()}
            nodes.append(profiling.Node(each["op_name"], first["name"], [int(size) for size in first["shape"]]))
        inferences: List[Any] = (
            profiling.inferences(self._profiled.events(), nodes) if self._profiled is not None else []
        )
        return inferences

    def _profile(self, model: Union[str, bytes], threads: int) -> None:
        """Have the file executed with a profile from now on, or say why there is none."""
        profiling, interpreter = profiler(), self._interpreter
        sides = [[detail["shape"] for detail in _details(interpreter, side)] for side in ("input", "output")]
        folder = os.path.dirname(str(self.runtime().__file__))
        try:
            self._profiled = profiling.Profiled(folder, model, threads, *sides)
        except profiling.Unprofiled as error:
            self.layerless = str(error)


def profiler() -> Any:
    """The module that makes profiles: it travels with the runner alone."""
    return importlib.import_module("." + PROFILER if __package__ else PROFILER, __package__)


def ports(interpreter: Any, side: str) -> List[values.Port]:
    """An interpreter's inputs or outputs (`side` is "input" or "output") in argument order.

    The subgraph's own order need not be that of the arguments, and signatures list their names sorted as
    text (args_0, args_1, args_10, args_2 …): so the numbers in the signature's names decide, and only
    without such numbers the subgraph's order.
    """
    details = _details(interpreter, side)
    for key in interpreter.get_signature_list():
        named = _details(interpreter.get_signature_runner(key), side)
        same = {d["index"] for d in named.values()} == {d["index"] for d in details}
        in_order = numbered(named)
        if same and in_order:
            return [_port(name, named[name]) for name in in_order]
    return [_port(d["name"], d) for d in details]


def _details(runner: Any, side: str) -> Any:
    """What an interpreter, or the runner of a signature, tells of its inputs or outputs."""
    return runner.get_input_details() if side == "input" else runner.get_output_details()


def _port(name: str, detail: Dict[str, Any]) -> values.Port:
    shape = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    quantized = detail["quantization_parameters"]
    if len(quantized["scales"]) == 0:
        return values.Port(name, detail["index"], tuple(map(int, shape)), detail["dtype"])
    if len(quantized["scales"]) > 1:
        raise values.RunnerError("bad-model", "%s is quantized per channel" % name)
    scale, zero_point = float(quantized["scales"][0]), int(quantized["zero_points"][0])
    return values.Port(name, detail["index"], tuple(map(int, shape)), detail["dtype"], scale, zero_point)


def numbered(names: Iterable[str]) -> List[str]:
    """The names by their number if they are stem0, stem1, … without a gap, else none.

    Other numbers (Keras: input_3, input_7) count what was created, not the position of an argument.
    """
    matches = {name: re.match(r"(.*?)(\d+)$", name) for name in names}
    order = sorted((match.group(1), int(match.group(2)), name) for name, match in matches.items() if match)
    expected = [(order[0][0], number) for number in range(len(matches))] if order else []
    return [name for _, _, name in order] if [part[:2] for part in order] == expected else []
