"""A process with TensorFlow and nothing of PyTorch, which do not bear each other: opens a SavedModel and answers.

Told a second path, it has TensorFlow's own converter write a float TFLite file there first. On its output it says in a
line of JSON what the model takes and gives, or what is wrong. Then it reads examples as .npy behind their sizes, one
array for each input, and writes what each is answered with in the same way, until there are no more.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

_SERVING = "serving_default"
# Operators by which a graph reaches files, or Python; those that restore weights are in every SavedModel.
_REACHING = {"EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile"}


def main(folder: Path, tflite: Path | None = None) -> None:
    """Speak on standard output, which the libraries are kept from."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        name, signature, taken, answers = _opened(folder)
        if tflite is not None:
            _convert(folder, name, tflite)
        described = {"inputs": _ports(taken), "outputs": _ports(answers), **_counted(signature)}
    except Exception as error:  # TensorFlow raises whatever it likes
        lines = [line for line in str(error).splitlines() if line.strip()]
        hint = error.hint if isinstance(error, Unsigned) else None
        _say(out, {"error": lines[0] if lines else type(error).__name__, "hint": hint})
        return
    _say(out, described)
    _answer(signature, taken, answers, sys.stdin.buffer, out)


class Unsigned(ValueError):
    """A model of which no signature says what serves; `hint` is the Python that names one."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"has no signature {_SERVING!r} (it has {', '.join(names) or 'none'})")
        served = f"model.signatures[{names[0]!r}]" if names else "model.f.get_concrete_function(tf.TensorSpec(…))"
        chosen = f"the one of {', '.join(names)} that is meant, " if names else "a function of it, "
        self.hint = (
            f"name {chosen}in TensorFlow: model = tf.saved_model.load('FOLDER'); "
            f"tf.saved_model.save(model, 'OTHER', signatures={{{_SERVING!r}: {served}}})"
        )


def _say(out: BinaryIO, words: Mapping[str, Any]) -> None:
    out.write(json.dumps(words).encode() + b"\n")
    out.flush()


def _opened(folder: Path) -> tuple[str, Any, dict[str, Any], dict[str, Any]]:
    """The function that serves, by name, and its inputs and outputs by name, in the order of their names."""
    _refuse_code(folder)
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    names = [*model.signatures]
    name = _SERVING if _SERVING in names else names[0] if len(names) == 1 else None
    if name is None:
        raise Unsigned(names)
    signature = model.signatures[name]
    signature.keeps = model  # its weights go with it
    _, taken = signature.structured_input_signature
    return name, signature, dict(sorted(taken.items())), dict(sorted(signature.structured_outputs.items()))


def _convert(folder: Path, name: str, file: Path) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[name])
    file.write_bytes(converter.convert())


def _refuse_code(folder: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        for node in nodes:
            if node.op in _REACHING:
                raise ValueError(f"has the operator {node.op} ({node.name!r}), which reaches files or code")


def _ports(tensors: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [*map(_size, tensor.shape)], "dtype": tensor.dtype.name}
        for name, tensor in tensors.items()
    ]


def _size(size: Any) -> int | str:
    return "?" if size is None else int(size)


def _counted(signature: Any) -> dict[str, Any]:
    graph = signature.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    skipped = {
        "Const",
        "Identity",
        "NoOp",
        "Placeholder",
        "ReadVariableOp",
        "StatefulPartitionedCall",
        "PartitionedCall",
    }
    kinds = [node.op for node in nodes if node.op not in skipped]
    sizes = [int(variable.shape.num_elements()) for variable in signature.variables]
    return {"operators": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}, "parameters": sum(sizes)}


def _answer(
    signature: Any, taken: Mapping[str, Any], outputs: Mapping[str, Any], source: BinaryIO, out: BinaryIO
) -> None:
    import numpy as np
    import tensorflow as tf

    while (first := read(source)) is not None:
        values = [first, *(read(source) for _ in range(len(taken) - 1))]
        answers = signature(**{name: tf.constant(each) for name, each in zip(taken, values, strict=True)})
        for name in outputs:
            write(out, np.asarray(answers[name]))
        out.flush()


def read(stream: BinaryIO) -> Any:
    """The next array; None where there is no more."""
    import numpy as np

    size = stream.read(8)
    if len(size) < 8:
        return None
    content = stream.read(int.from_bytes(size, "little"))
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def write(stream: BinaryIO, values: Any) -> None:
    """One array, behind the number of its bytes: numpy itself seeks in what it reads, and a pipe has no places."""
    import numpy as np

    content = io.BytesIO()
    np.lib.format.write_array(content, values, allow_pickle=False)
    stream.write(len(content.getvalue()).to_bytes(8, "little") + content.getvalue())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
