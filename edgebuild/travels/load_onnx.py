"""Opens .onnx and .ort models in ONNX Runtime.

This file travels to devices and in bundles: Python 3.9, numpy and the runtime, nothing of edgebuild.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Mapping, Sequence, Union

if __package__:
    from . import model_values as values
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]

SUFFIXES = (".onnx", ".ort")
CPU = "CPUExecutionProvider"
TYPES = {"float": "float32", "double": "float64"}  # the others are called as in numpy


class Model(values.AnyModel):
    """An .onnx or .ort model, from its path or its content."""

    def __init__(self, model: Union[str, bytes], spec: Mapping[str, Any]) -> None:
        ort = self.runtime()
        wanted = list(spec.get("providers") or [CPU])
        present = ort.get_available_providers()
        asked = wanted if not spec.get("fallback") else [name for name in wanted if name in present] or [CPU]
        need(asked, present)
        where = model if isinstance(model, str) else ""
        options = session_options(ort, spec, asked, where)
        self._session = ort.InferenceSession(model, options, providers=asked)
        working = self._session.get_providers()
        self.missing = [name for name in wanted if name not in working]
        if not spec.get("fallback"):
            need(asked, working)
        self.inputs = values.laid_out([_port(value) for value in self._session.get_inputs()], spec, values.INPUTS)
        self.outputs = values.laid_out([_port(value) for value in self._session.get_outputs()], spec, values.OUTPUTS)
        self._names = [port.name for port in self.inputs]

    @staticmethod
    def runtime() -> Any:
        """The module that executes models; RunnerError where there is none."""
        return values.import_first("onnxruntime")

    def run(self, feed: Sequence[Any]) -> List[Any]:
        """Raw outputs for raw inputs, by position."""
        return list(self._session.run(None, dict(zip(self._names, feed))))

    def trace(self) -> List[Dict[str, Any]]:
        """The events of all inferences, as ONNX Runtime's profiler wrote them."""
        written = self._session.end_profiling()
        with open(written, encoding="utf-8") as file:
            events: List[Dict[str, Any]] = json.load(file)
        os.remove(written)
        return events


def session_options(ort: Any, spec: Mapping[str, Any], providers: Sequence[str], where: str) -> Any:
    """The options of a session: threads as the spec says, profiled beside the file `where` if it says so."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(spec.get("threads", 1))
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Idle threads that spin would steal the processor from the other model of the process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_profiling = bool(spec.get("profile"))
    options.profile_file_prefix = where
    return options


def need(wanted: Sequence[str], present: Sequence[str]) -> None:
    """ONNX Runtime falls back to the CPU with a mere warning; a measurement must not."""
    missing = [name for name in wanted if name not in present]
    if missing:
        raise values.RunnerError("provider-missing", "%s not in %s" % (", ".join(missing), ", ".join(present)))


def _port(value: Any) -> values.Port:
    import numpy as np

    found = re.match(r"tensor\((\w+)\)$", value.type)
    try:
        dtype = np.dtype(TYPES.get(found.group(1), found.group(1)) if found else "not a tensor")
    except TypeError:
        raise values.RunnerError("bad-model", "%s has type %s" % (value.name, value.type)) from None
    shape = tuple(d if isinstance(d, int) else -1 for d in value.shape)
    return values.Port(value.name, value.name, shape, dtype.type)
