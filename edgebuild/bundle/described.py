"""A bundle's .tflite file with what the bundle says of it inside: TFLite Model Metadata, and the files that names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.bundle import archives
from edgebuild.bundle.facts import Port, ShippedPart
from edgebuild.bundle.kind import Contents

if TYPE_CHECKING:
    from edgebuild.formats._tflite_graph import Called
    from edgebuild.formats._tflite_metadata import Tensor

_BY_VALUE = ("ranked", "several", "areas")  # how heads are shown that have a label for each value, or for each number


def file(bundle: Contents, part: ShippedPart, called: tuple[Called, Called]) -> bytes:
    """The part's file: normalisation, axes and labels as metadata, behind it the files that these name.

    What it computes stays as it was judged.
    """
    from edgebuild.formats import _tflite_metadata as metadata

    prepared = prepares(bundle)
    labels = _labels(bundle)
    files = [metadata.File(name, "How inputs are made.", metadata.DESCRIPTIONS) for name in prepared]
    loose = labels.keys() - {each.name for tensor in _outputs(bundle, part) for each in tensor.files}
    files += [metadata.File(name, "One label a line.", metadata.DESCRIPTIONS) for name in sorted(loose)]
    whole = metadata.Description(
        name=bundle.name,
        description=bundle.summary,
        version=bundle.version,
        inputs=_in_graph(_inputs(bundle, part), called[0]),
        outputs=_in_graph(_outputs(bundle, part), called[1]),
        files=tuple(files),
    )
    return archives.zipped(prepared | labels, metadata.described(bundle.model(part), whole))


def prepares(bundle: Contents) -> dict[str, bytes]:
    """The files that say how inputs are made of what people have: preprocess.json, and what that names."""
    files, how = bundle.files(), bundle.facts.subject.preprocess
    names = ("preprocess.json", *(Path(path).name for path in how.reads().values())) if how else ()
    return {name: files[name] for name in names}


def _labels(bundle: Contents) -> dict[str, bytes]:
    """A file for each head that has labels, one a line."""
    labelled = [head for head in bundle.facts.heads if head.labels]
    return {
        _labels_of(head.name): "".join(f"{' '.join(label.split())}\n" for label in head.labels).encode()
        for head in labelled
    }


def _labels_of(head: str) -> str:
    return f"labels_{head}.txt"


def _inputs(bundle: Contents, part: ShippedPart) -> list[Tensor]:
    subject, tensors = bundle.facts.subject, [_tensor(port) for port in part.inputs]
    if (how := subject.preprocess) is not None and (pixels := how.pixels) is not None:
        (place,) = how.places(subject.signature.inputs)
        size = ("height", "width")
        last = part.inputs[place].shape[1:3] == (pixels.height, pixels.width)
        axes = ("batch", *size, "channels") if last else ("batch", "channels", *size)
        tensors[place] = replace(tensors[place], axes=axes, pixels=pixels)
    return tensors


def _outputs(bundle: Contents, part: ShippedPart) -> list[Tensor]:
    from edgebuild.formats import _tflite_metadata as metadata

    tensors = [_tensor(port) for port in part.outputs]
    for head in bundle.facts.heads:
        place = head.outputs[0]
        whole = part.outputs[place].dtype[0] in "iu"
        alone = not whole and len(head.labels) not in part.outputs[place].shape[1:]  # one score, or map, of two classes
        if head.labels and head.show in _BY_VALUE and not alone:
            kind = metadata.VALUE_LABELS if whole else metadata.AXIS_LABELS
            labels = metadata.File(_labels_of(head.name), f"Labels of {head.name}.", kind)
            tensors[place] = replace(tensors[place], files=(labels,))
    return tensors


def _tensor(port: Port) -> Tensor:
    from edgebuild.formats import _tflite_metadata as metadata

    return metadata.Tensor(port.name, port.meaning)


def _in_graph(tensors: list[Tensor], called: Called) -> tuple[Tensor, ...]:
    """Tensors by argument, in the order in which the graph has them."""
    by_name = dict(zip(called.by_argument, tensors, strict=True))
    return tuple(by_name[name] for name in called.by_graph)
