"""A bundle as a model repository of NVIDIA's Triton Inference Server: the ONNX file in its onnxruntime backend.

https://github.com/triton-inference-server/common (protobuf/model_config.proto); the text format of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

from edgebuild.bundle import golden
from edgebuild.bundle.facts import Port, ShippedPart
from edgebuild.bundle.kind import Contents, Kind
from edgebuild.spec import look

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

_TYPES = {
    "float32": "TYPE_FP32", "float16": "TYPE_FP16", "float64": "TYPE_FP64", "bool": "TYPE_BOOL", "int8": "TYPE_INT8",
    "uint8": "TYPE_UINT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
}  # fmt: skip
_LARGEST_BATCH = 8  # of a file whose batch is open: Triton asks for a limit, and who serves it knows a better one
_TENSORRT, _CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"


class Word(str):
    """A name of an enumeration, which stands without quotes."""

    __slots__ = ()


Value = Union[str, int, Word, "Message"]
Message = Sequence[tuple[str, Value]]


@dataclass(frozen=True, slots=True)
class Triton(Kind):
    """A Triton model repository of an ONNX file: its signature, batches where it leaves them open, golden warm-up."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>/config.pbtxt`, `<name>/1/model.onnx`, its labels and warm-up, and `golden.npz`."""
        from edgebuild.formats import _onnx_look

        part, vectors = bundle.only("triton", "onnx"), bundle.golden("triton")
        bundle.stateless("triton")
        model = bundle.model(part)
        inputs, outputs = _onnx_look.ports(model)
        place = folder / bundle.identifier
        for inside in ("1", "warmup"):
            (place / inside).mkdir(parents=True)
        (place / "1" / "model.onnx").write_bytes(model)
        (folder / vectors.file).write_bytes((bundle.folder / vectors.file).read_bytes())
        samples = golden.read(bundle.folder, vectors)[0]
        for port, values, own in zip(inputs, samples, part.inputs, strict=True):
            (place / "warmup" / _warm(port)).write_bytes(_raw(values[:1], port, own).tobytes())
        labels = _labels(bundle)
        for file, names in labels.values():
            (place / file).write_text("".join(f"{' '.join(name.split())}\n" for name in names), encoding="utf-8")
        files = {output: file for output, (file, _) in labels.items()}
        text = _rendered(_config(bundle, part, inputs, outputs, files))
        (place / "config.pbtxt").write_text(f"{_origin(bundle)}{text}", encoding="utf-8")


def _origin(bundle: Contents) -> str:
    summary = " ".join(bundle.summary.split())
    return f"# {summary}\n# edgebuild bundle sha256:{bundle.digest}, version {bundle.version}\n"


def _config(
    bundle: Contents,
    part: ShippedPart,
    inputs: Sequence[look.Port],
    outputs: Sequence[look.Port],
    labels: dict[int, str],
) -> Message:
    """The fields of `inference.ModelConfig`."""
    batched = all(port.shape and isinstance(port.shape[0], str) for port in (*inputs, *outputs))
    providers = part.runtime.providers
    kind = Word("KIND_GPU" if {_TENSORRT, _CUDA} & {*providers} else "KIND_CPU")
    named = [
        [*_tensor(port, batched), *([("label_filename", labels[place])] if place in labels else [])]
        for place, port in enumerate(outputs)
    ]
    fields: list[tuple[str, Value]] = [
        ("name", bundle.identifier),
        ("backend", "onnxruntime"),
        ("default_model_filename", "model.onnx"),
        ("max_batch_size", _LARGEST_BATCH if batched else 0),
        *(("input", _tensor(port, batched)) for port in inputs),
        *(("output", tensor) for tensor in named),
        ("instance_group", [("count", 1), ("kind", kind)]),
        ("version_policy", [("latest", [("num_versions", 1)])]),
        ("parameters", _parameter("intra_op_thread_count", part.runtime.threads)),
        ("parameters", _parameter("inter_op_thread_count", 1)),
        ("model_warmup", _warmup(inputs, batched)),
    ]
    if batched:
        fields.append(("dynamic_batching", [("max_queue_delay_microseconds", 0)]))
    if _TENSORRT in providers:
        accelerator = [("gpu_execution_accelerator", [("name", "tensorrt")])]
        fields.append(("optimization", [("execution_accelerators", accelerator)]))
    return fields


def _tensor(port: look.Port, batched: bool) -> list[tuple[str, Value]]:
    """Name, type and dimensions; where batches are Triton's own business, without theirs. It has no scalars."""
    fields: list[tuple[str, Value]] = [("name", port.name), ("data_type", Word(_TYPES[port.dtype]))]
    sizes = port.shape[batched:]
    fields += [("dims", size if isinstance(size, int) else -1) for size in sizes or (1,)]
    return fields if sizes else [*fields, ("reshape", [])]


def _parameter(name: str, value: int) -> Message:
    return [("key", name), ("value", [("string_value", str(value))])]


def _warmup(inputs: Sequence[look.Port], batched: bool) -> Message:
    """One request before the model is called ready: the first golden example."""
    entries: list[tuple[str, Value]] = []
    for port in inputs:
        shape = [field for field in _tensor(port, batched) if field[0] in ("data_type", "dims")]
        entries.append(("inputs", [("key", port.name), ("value", [*shape, ("input_data_file", _warm(port))])]))
    return [("name", "golden"), ("batch_size", 1), *entries]


def _warm(port: look.Port) -> str:
    return "golden_" + "".join(one if one.isalnum() else "_" for one in port.name)


def _raw(values: Array, port: look.Port, own: Port) -> Array:
    """An example as the file takes it."""
    import numpy as np

    from edgebuild.travels import model_values

    stored = model_values.Port(port.name, port.name, (), np.dtype(port.dtype).type, layout=own.layout)
    raw: Array = model_values.to_raw(values, stored)
    return raw


def _labels(bundle: Contents) -> dict[int, tuple[str, tuple[str, ...]]]:
    """By output, a file of one label a line and its labels: of heads that rank the values of one output."""
    ranked = [head for head in bundle.facts.heads if head.show == "ranked" and head.labels]
    return {head.outputs[0]: (f"labels_{head.outputs[0]}.txt", head.labels) for head in ranked}


def _rendered(message: Message, depth: int = 0) -> str:
    """A message in the text format, one field a line."""
    return "".join(_lines(message, "  " * depth, depth))


def _lines(message: Message, indent: str, depth: int) -> Iterator[str]:
    for name, value in message:
        if isinstance(value, Word | int):
            yield f"{indent}{name}: {value}\n"
        elif isinstance(value, str):
            yield f"{indent}{name}: {_quoted(value)}\n"
        else:
            yield f"{indent}{name} {{\n{_rendered(value, depth + 1)}{indent}}}\n"


def _quoted(text: str) -> str:
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
