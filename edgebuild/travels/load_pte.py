"""Opens .pte models in ExecuTorch, whose CPU kernels are XNNPACK's.

This file travels to devices and in bundles: numpy and the runtime, nothing of edgebuild.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Union

if __package__:
    from . import model_values as values
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]

SUFFIXES = (".pte",)
PACKAGES = ("executorch",)  # distributions of which any executes such files
METHOD = "forward"
# numpy's names of c10::ScalarType, as far as a program's inputs and outputs have them.
TYPES = dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")))
TYPES[11] = "bool"


class Model(values.AnyModel):
    """A .pte model, from its path or its content."""

    # Its tracer sees the whole of a delegate as one operator.
    layerless = "ExecuTorch tells no time of the operators inside a delegate"

    def __init__(self, model: Union[str, bytes], spec: Mapping[str, Any]) -> None:
        runtime = self.runtime()
        self._torch = values.import_first("torch")
        set_threads(runtime, int(spec.get("threads", 1)))
        load = runtime._load_program_from_buffer if isinstance(model, bytes) else runtime._load_program
        self._kept = model, load(model)  # a program reads its content where that is
        self._method = self._kept[1].load_method(METHOD)
        about = self._method.method_meta()
        inputs = [_port("input_%d" % k, about.input_tensor_meta(k)) for k in range(about.num_inputs())]
        answered = [_port("output_%d" % k, about.output_tensor_meta(k)) for k in range(about.num_outputs())]
        self.inputs = values.laid_out(inputs, spec, values.INPUTS)
        self.outputs = values.laid_out(answered, spec, values.OUTPUTS)

    @staticmethod
    def runtime() -> Any:
        """The module that executes models; RunnerError where there is none.

        It is the extension that `executorch.runtime` wraps: importing that one imports the exporter with it, 4 seconds
        and 130 MB. The extension needs libtorch, which torch loads.
        """
        values.import_first("torch")
        folder = "executorch.extension.pybindings."
        return values.import_first(folder + "_C", folder + "portable_lib")

    def run(self, feed: Sequence[Any]) -> List[Any]:
        """Raw outputs for raw inputs, by position."""
        return [answer.numpy() for answer in self._method([self._torch.from_numpy(array) for array in feed])]


POOLED: List[int] = []  # how many threads the process's pool has, once a model relies on it


def set_threads(runtime: Any, threads: int) -> None:
    """Give the process's one pool so many threads; RunnerError where a model holds a pool of another size already."""
    if POOLED and POOLED[0] != threads:
        raise values.RunnerError("bad-job", "ExecuTorch has %d threads in this process, not %d" % (POOLED[0], threads))
    if not POOLED and runtime._threadpool_get_thread_count() != threads:
        runtime._unsafe_reset_threadpool(threads)
    POOLED[:] = [threads]


def _port(name: str, about: Any) -> values.Port:
    import numpy as np

    if about.dtype() not in TYPES:
        raise values.RunnerError("bad-model", "%s has scalar type %d" % (name, about.dtype()))
    return values.Port(name, name, tuple(about.sizes()), np.dtype(TYPES[about.dtype()]).type)
