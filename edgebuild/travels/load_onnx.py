"""Opens .onnx and .ort models in ONNX Runtime.

This file travels to devices and in bundles: Python 3.9, numpy and the runtime, nothing of edgebuild.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

if __package__:
    from . import model_values as values
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]

SUFFIXES = (".onnx", ".ort")
PROFILER = "runner_ort"
PACKAGES = ("onnxruntime",)  # distributions of which any executes such files
SILENT = "ORT_DISABLE_TELEMETRY"  # without it the runtime reports to its maker, and writes an identifier below HOME
CPU = "CPUExecutionProvider"
UNDIVIDED, ASSIGNED = "session.disable_cpu_ep_fallback", "session.record_ep_graph_assignment_info"
TYPES = {"float": "float32", "double": "float64"}  # the others are called as in numpy


class Model(values.AnyModel):
    """An .onnx or .ort model, from its path or its content."""

    def __init__(self, model: Union[str, bytes], spec: Mapping[str, Any]) -> None:
        ort = self.runtime()
        requested, fallback = list(spec.get("providers") or [CPU]), bool(spec.get("fallback"))
        available = ort.get_available_providers()
        providers = [name for name in requested if name in available] or [CPU] if fallback else requested
        need(providers, available)
        options = session_options(ort, spec, providers, fallback, model if isinstance(model, str) else "")
        with undivided(providers):
            self._session = ort.InferenceSession(model, options, providers=providers)
        if not fallback:
            need(providers, self._session.get_providers())
        self.told = elsewhere(self._session, requested)
        self.inputs = values.laid_out([_port(value) for value in self._session.get_inputs()], spec, values.INPUTS)
        self.outputs = values.laid_out([_port(value) for value in self._session.get_outputs()], spec, values.OUTPUTS)
        self._names = [port.name for port in self.inputs]

    @staticmethod
    def runtime() -> Any:
        """The module that executes models; RunnerError where there is none."""
        os.environ.setdefault(SILENT, "1")
        return values.import_first("onnxruntime")

    def run(self, feed: Sequence[Any]) -> List[Any]:
        """Raw outputs for raw inputs, by position."""
        return list(self._session.run(None, dict(zip(self._names, feed))))

    def trace(self) -> List[Any]:
        """Its inferences, by ONNX Runtime's own profile."""
        written = self._session.end_profiling()
        with open(written, encoding="utf-8") as file:
            events: List[Dict[str, Any]] = json.load(file)
        os.remove(written)
        inferences: List[Any] = profiler().inferences(events)
        return inferences


def profiler() -> Any:
    """The module that reads profiles: it travels with the runner alone."""
    return importlib.import_module("." + PROFILER if __package__ else PROFILER, __package__)


def session_options(ort: Any, spec: Mapping[str, Any], providers: Sequence[str], fallback: bool, where: str) -> Any:
    """The options of a session on these providers; a profile, where the spec wants one, lands beside the file `where`.

    ONNX Runtime computes on the CPU what another provider cannot. Unless that is allowed, by `fallback` or by the CPU's
    own place among the providers, such a model is refused: its time would not be the accelerator's.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(spec.get("threads", 1))
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Idle threads that spin would steal the processor from the other model of the process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if accelerators(providers):
        options.add_session_config_entry(ASSIGNED, "1")
        options.add_session_config_entry(UNDIVIDED, "0" if fallback or CPU in providers else "1")
    options.enable_profiling = bool(spec.get("profile"))
    options.profile_file_prefix = where
    return options


@contextlib.contextmanager
def undivided(providers: Sequence[str]) -> Iterator[None]:
    """Say what to do when a session is refused because the CPU would compute a part of it."""
    try:
        yield
    except Exception as error:  # ONNX Runtime raises classes of its own, found in no common base
        if "assigned to the default CPU EP" not in str(error):
            raise
        message = "%s cannot compute all of it; with %s as the last provider the CPU may compute the rest"
        raise values.RunnerError("provider-missing", message % (", ".join(providers), CPU)) from error


def accelerators(providers: Sequence[str]) -> List[str]:
    """The providers that are not the CPU's."""
    return [name for name in providers if name != CPU]


def elsewhere(session: Any, requested: Sequence[str]) -> Optional[str]:
    """One line on requested providers that are missing, or operators that the CPU computes; None for neither."""
    working = session.get_providers()
    missing = [name for name in requested if name not in working]
    if missing:
        return "%s cannot be had here: the model runs on %s" % (", ".join(missing), ", ".join(working))
    if not accelerators(requested) or not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    counts = [(part.ep_name, len(part.get_nodes())) for part in session.get_provider_graph_assignment_info()]
    here, every = sum(count for name, count in counts if name == CPU), sum(count for _, count in counts)
    apart = ", ".join(accelerators(requested))
    return "%d of %d operators run on %s, not on %s" % (here, every, CPU, apart) if here else None


def need(requested: Sequence[str], present: Sequence[str]) -> None:
    """ONNX Runtime falls back to the CPU with a mere warning; a measurement must not."""
    missing = [name for name in requested if name not in present]
    if missing:
        raise values.RunnerError("provider-missing", "%s not in %s" % (", ".join(missing), ", ".join(present)))


def _port(value: Any) -> values.Port:
    import numpy as np

    matched = re.match(r"tensor\((\w+)\)$", value.type)
    try:
        dtype = np.dtype(TYPES.get(matched.group(1), matched.group(1)) if matched else "not a tensor")
    except TypeError:
        raise values.RunnerError("bad-model", "%s has type %s" % (value.name, value.type)) from None
    shape = tuple(d if isinstance(d, int) else -1 for d in value.shape)
    axes = tuple(d if isinstance(d, str) else "" for d in value.shape)
    return values.Port(value.name, value.name, shape, dtype.type, axes=axes)
