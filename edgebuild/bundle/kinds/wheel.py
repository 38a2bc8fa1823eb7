"""A bundle as a Python package: the model inside and one typed function, `predict`, for who has an application."""

from __future__ import annotations

import base64
import hashlib
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebuild import __version__
from edgebuild.bundle import archives
from edgebuild.bundle.facts import Port
from edgebuild.bundle.kind import Contents, Kind

_INSIDE = "_bundle"  # the bundle as it is, in the package
_TAG = "py3-none-any"


@dataclass(frozen=True, slots=True)
class Wheel(Kind):
    """A Python wheel: `predict` answers one example, `python -m PACKAGE` tests itself on the golden inputs."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>-<version>-py3-none-any.whl` (PEP 427)."""
        bundle.golden("wheel")
        name, stem = bundle.identifier, f"{bundle.identifier}-{bundle.version}"
        files = {
            f"{name}/__init__.py": "\n".join(_module(bundle)).encode(),
            f"{name}/__main__.py": _MAIN.encode(),
            f"{name}/py.typed": b"",
        }
        files |= {f"{name}/{_INSIDE}/{path}": content for path, content in bundle.files().items()}
        about = f"{stem}.dist-info"
        files |= {
            f"{about}/METADATA": _metadata(bundle).encode(),
            f"{about}/WHEEL": _wheel().encode(),
        }
        files |= {f"{about}/RECORD": _record(files, f"{about}/RECORD").encode()}
        (folder / f"{stem}-{_TAG}.whl").write_bytes(archives.zipped(files))


_MAIN = '''"""Test the model of this package on its golden inputs."""

from . import self_test

self_test()
print("self-test: the golden inputs are answered as when the model was judged")
'''

_HEAD = """from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, List, NamedTuple, Optional, Tuple, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .{inside} import run as _untyped

_run: Any = _untyped
_one_at_a_time = Lock()  # a runtime's session keeps the tensors of one inference
"""

_TAIL = '''

def self_test() -> None:
    """RuntimeError where the golden inputs are answered otherwise here than when the model was judged."""
    with _one_at_a_time:
        wrong = next(_run.differing(), None)
    if wrong:
        raise RuntimeError(str(wrong))


def _example(name: str, values: Optional[ArrayLike], shape: Tuple[int, ...], dtype: str, start: float) -> Any:
    """One example with a batch axis, checked; a state that is not given is what it is at the start of a stream."""
    array = np.full(shape, start, dtype) if values is None else np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{name} is {list(array.shape)}, not {list(shape)}")
    return array.astype(dtype, copy=False)[None]


def _answers(inputs: List[Any]) -> Any:
    with _one_at_a_time:
        return _run.answer(inputs)
'''

_READ = '''

def read(path: Union[str, Path]) -> Tuple[Any, ...]:
    """The inputs of `predict` out of a file, prepared as the model expects it."""
    return tuple(values[0] for values in _run.read_values(Path(path)))
'''

_BOXES = '''

class Detection(NamedTuple):
    """What was detected: its label, how sure that is, and its corners as shares of the picture."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


def detections(answer: Any) -> List[Detection]:
    """What is sure enough in an answer of `predict`, best first, by the decoder that the model was judged with."""
    head = next(head for head in _run.manifest()["heads"] if head.get("decoder"))
    outputs = answer if isinstance(answer, tuple) else (answer,)
    decoded = _run.load(_run.HERE / "boxes.py").decoded(
        head["decoder"], [np.asarray(outputs[place])[None] for place in head["outputs"]]
    )
    rows = [row for row in decoded[0].tolist() if row[0] >= 0 and row[1] >= head["decoder"]["show"]]
    return [Detection(head["labels"][int(number)], *rest) for number, *rest in rows]
'''


def _module(bundle: Contents) -> Iterator[str]:
    """The lines of the package's module."""
    facts = bundle.facts
    names, output_names = _identifiers(facts.inputs), _identifiers(facts.outputs)
    yield from (f'"""{_text(bundle.summary)}"""', "", _HEAD.format(inside=_INSIDE), f"__version__ = {bundle.version!r}")
    yield f"RELEASED = {bundle.released}"
    labels = {head.name: head.labels for head in facts.heads if head.labels}
    shown = next(iter(labels.values())) if len(facts.heads) == 1 and labels else labels
    if labels:
        yield f"LABELS = {shown!r}"
    if len(output_names) > 1:
        yield from ("", "", "class Answer(NamedTuple):", '    """The outputs, each without a batch axis."""', "")
        yield from (f"    {name}: {_array(port)}" for name, port in zip(output_names, facts.outputs, strict=True))
    yield from _predict(names, output_names, facts.inputs, facts.outputs)
    boxes = any(head.decoder for head in facts.heads)
    yield _TAIL + (_READ if facts.subject.preprocess else "") + (_BOXES if boxes else "")


def _predict(
    names: Sequence[str], output_names: Sequence[str], inputs: Sequence[Port], outputs: Sequence[Port]
) -> Iterator[str]:
    """The function, with a parameter for each input; those that outputs come back as may be left out."""
    needed = [name for name, port in zip(names, inputs, strict=True) if not port.state]
    optional = [name for name, port in zip(names, inputs, strict=True) if port.state]
    parameters = [f"{name}: ArrayLike" for name in needed]
    parameters += [f"{name}: Optional[ArrayLike] = None" for name in optional]
    result = "Answer" if len(output_names) > 1 else _array(outputs[0])
    yield from ("", "", f"def predict({', '.join(parameters)}) -> {result}:")
    yield from ('    """What the model answers to one example, all without a batch axis and as in PyTorch.', "")
    for name, port in [*zip(names, inputs, strict=True), *zip(output_names, outputs, strict=True)]:
        meaning = f"; {_text(port.meaning)}" if port.meaning else ""
        yield f"    {name}: {port.dtype} {list(port.shape[1:])}{meaning}"
    yield from (
        "",
        "    Safe to call from several threads, which wait for each other. ValueError for another shape.",
        '    """',
    )
    yield "    answers = _answers("
    yield "        ["
    for name, port in zip(names, inputs, strict=True):
        start = port.state.start if port.state else 0.0
        yield f"            _example({name!r}, {name}, {port.shape[1:]!r}, {port.dtype!r}, {start!r}),"
    yield from ("        ]", "    )")
    if len(output_names) > 1:
        yield "    return Answer(*answers)"
    else:
        yield from (f"    answer: {_array(outputs[0])} = answers[0]", "    return answer")


def _array(port: Port) -> str:
    return f"NDArray[np.{port.dtype}]"


def _identifiers(ports: Sequence[Port]) -> list[str]:
    """The names of ports as parameters; numbered where two would be the same, or hide what the module uses."""
    names = ["".join(one if one.isascii() and one.isalnum() else "_" for one in port.name) for port in ports]
    taken = {"np", "answers", "Answer", "predict", "read", "Detection", "detections"}
    usable = [name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_") for name in names]
    if len({*names}) == len(names) and all(usable) and not taken & {*names}:
        return names
    return [f"tensor_{place}" for place in range(len(names))]


def _text(words: str) -> str:
    """Words as they can stand in a docstring."""
    return " ".join(words.split()).replace("\\", "\\\\").replace('"', "'")


def _metadata(bundle: Contents) -> str:
    """Core metadata 2.1, the bundle's card as the description."""
    needed = bundle.files()["requirements.txt"].decode().splitlines()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {bundle.name}",
        f"Version: {bundle.version}",
        f"Summary: {' '.join(bundle.summary.split())}",
        "Requires-Python: >=3.9",
        *(f"Requires-Dist: {line}" for line in needed),
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*lines, "", bundle.files()["README.md"].decode()])


def _wheel() -> str:
    return f"Wheel-Version: 1.0\nGenerator: edgebuild {__version__}\nRoot-Is-Purelib: true\nTag: {_TAG}\n"


def _record(files: Mapping[str, bytes], own: str) -> str:
    """Path, digest and size of every file; of the record itself the path alone."""
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        quoted = f'"{name}"' if "," in name else name
        lines.append(f"{quoted},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{own},,", ""])
