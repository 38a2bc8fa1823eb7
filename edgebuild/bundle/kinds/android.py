"""A bundle as Gradle modules for Android: the model in an AI pack of Google Play, and Kotlin that runs it by LiteRT.

https://developer.android.com/google/play/on-device-ai and https://developer.android.com/google/play/device-targeting
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from edgebuild import __version__
from edgebuild.bundle import described, golden
from edgebuild.bundle.facts import Port, ShippedPart, Subject
from edgebuild.bundle.kind import Contents, Kind
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.layout import NCHW

if TYPE_CHECKING:
    from edgebuild.formats._tflite_graph import Called
    from edgebuild.spec.rows import Array
    from edgebuild.travels import model_values

_TEMPLATES = Path(__file__).parents[1] / "payload" / "android"
# What LiteRT's buffers hold in Kotlin; 8 bits without a sign are the same bytes.
_TYPES = ("float32", "int8", "uint8", "int32", "int64", "bool")
_EXACT = 1 << 24  # whole numbers up to here are float32, which Kotlin is given
_GIGABYTE, _GIBIBYTE = 10**9, 1 << 30
_RUNTIME = "ai-edge-litert=="  # in requirements.txt; com.google.ai.edge.litert:litert has the same versions


@dataclass(frozen=True, slots=True)
class Android(Kind):
    """Gradle modules for Android: an AI pack for the target's devices, and Kotlin that runs its model by LiteRT."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>/` (the AI pack), `<name>_kotlin/`, and what a Gradle build of these two alone needs."""
        from edgebuild.formats import _tflite_graph

        part = bundle.only("android", "tflite")
        bundle.golden("android")
        bundle.stateless("android")
        sides, called = _tflite_graph.ports(bundle.model(part)), _tflite_graph.called(bundle.model(part))
        if called is None:
            reason = "has no signature in its file, by whose names LiteRT finds tensors in Kotlin"
            raise UsageError(reason, file=str(bundle.folder), key="--as", hint="convert it from its source here")
        for port in (*sides[0], *sides[1]):
            _check(bundle, port)
        pack = {"model.tflite": described.file(bundle, part, called), **described.prepares(bundle)}
        pack["signature.json"] = _json(_signature(bundle, part, sides, called))
        files = {f"{bundle.identifier}/src/main/assets/{_folder(bundle)}/{name}": each for name, each in pack.items()}
        for path, content in {**files, **_golden(bundle), **_programs(bundle)}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def _check(bundle: Contents, port: model_values.Port) -> None:
    """UsageError for a tensor of a type of which LiteRT has no buffers in Kotlin."""
    import numpy as np

    if (name := np.dtype(port.dtype).name) not in _TYPES:
        reason = f"stores {port.name} as {name}, and a package of kind 'android' holds {', '.join(_TYPES)}"
        hint = "declare it as one of these in [[inputs]] or [[outputs]], and build again"
        raise UsageError(reason, file=str(bundle.folder), key="--as", hint=hint)


def _group(subject: Subject) -> str | None:
    """The device group of a target; None for one that says nothing by which Play could tell its devices."""
    letters = re.sub(r"[^A-Za-z0-9]+", "_", subject.target).strip("_")
    named = letters if letters[:1].isalpha() else f"target_{letters}"
    return named if subject.ram or subject.socs else None


def _folder(bundle: Contents) -> str:
    """Where the model lies among the assets of its pack: Play strips the group off."""
    group = _group(bundle.facts.subject)
    return f"{bundle.identifier}#group_{group}" if group else bundle.identifier


def _targeting(subject: Subject) -> str:
    """The configuration that says which devices are in the group: those with so much memory, and one of the chips.

    A kernel keeps a part of the memory to itself, so a phone of 8 GiB tells less; Google writes 8000000000 for it.
    """
    least = f' ram-min-bytes="{subject.ram * _GIGABYTE // _GIBIBYTE}"' if subject.ram else ""
    named = [f"manufacturer={quoteattr(soc.manufacturer)} model={quoteattr(soc.model)}" for soc in subject.socs]
    chips = "".join(f"            <config:system-on-chip {each}/>\n" for each in named)
    inside = f">\n{chips}        </config:device-selector>" if chips else "/>"
    return (
        '<config:device-targeting-config\n    xmlns:config="http://schemas.android.com/apk/config">\n'
        f'    <config:device-group name="{_group(subject)}">\n        <config:device-selector{least}{inside}\n'
        "    </config:device-group>\n</config:device-targeting-config>\n"
    )


def _signature(
    bundle: Contents,
    part: ShippedPart,
    sides: tuple[list[model_values.Port], list[model_values.Port]],
    called: tuple[Called, Called],
) -> dict[str, Any]:
    """What Kotlin must know of the file: names as the file calls them, shapes as in PyTorch, how values are stored."""
    inputs, outputs = (
        [_port(*each) for each in zip(side.by_argument, ports, shown, strict=True)]
        for side, ports, shown in zip(called, sides, (part.inputs, part.outputs), strict=True)
    )
    heads = [
        {"name": head.name, "task": head.task, "outputs": head.outputs, "labels": head.labels}
        | ({"decoder": documents.to_json(head.decoder)} if head.decoder else {})
        for head in bundle.facts.heads
    ]
    about = {"name": bundle.name, "version": bundle.version, "released": bundle.released, "bundle": bundle.digest}
    return {**about, "threads": part.runtime.threads, "inputs": inputs, "outputs": outputs, "heads": heads}


def _port(name: str, port: model_values.Port, shown: Port) -> dict[str, Any]:
    import numpy as np

    from edgebuild.travels import model_values

    shape = model_values.as_given(shown.shape, shown.layout)
    stored = {"dtype": np.dtype(port.dtype).name, "scale": port.scale, "zero_point": port.zero_point}
    return {"name": name, "shape": shape, "layout": shown.layout or NCHW, **stored}


def _golden(bundle: Contents) -> dict[str, bytes]:
    """The golden vectors as the self-test reads them: little-endian float32, examples on the first axis."""
    vectors = bundle.golden("android")
    place = f"{bundle.identifier}_kotlin/src/androidTest/assets/golden"
    files = {f"{place}/golden.json": _json({"examples": vectors.examples, "tolerance": vectors.tolerance})}
    for side, arrays in zip(("input", "output"), golden.read(bundle.folder, vectors), strict=True):
        for number, values in enumerate(arrays):
            files[f"{place}/{side}_{number}.f32"] = _float32(bundle, f"{side} {number}", values)
    return files


def _float32(bundle: Contents, name: str, values: Array) -> bytes:
    """UsageError for whole numbers that float32 has not."""
    if values.dtype.kind in "iu" and abs(values).max(initial=0) > _EXACT:
        reason = f"has golden values of {name} beyond {_EXACT}, which Kotlin's float32 does not hold"
        raise UsageError(reason, file=str(bundle.folder), key="--as")
    return bytes(values.astype("<f4").tobytes())


def _programs(bundle: Contents) -> dict[str, bytes]:
    """The modules' own files out of the templates: of Kotlin, those that prepare what this model is fed, and decode."""
    subject, module = bundle.facts.subject, f"{bundle.identifier}_kotlin"
    source = f"{module}/src/main/kotlin/edgebuild/{bundle.identifier}"
    values = _values(bundle)
    places = {
        "README.md": "README.md",
        "settings.gradle.kts": "settings.gradle.kts",
        "build.gradle.kts": "build.gradle.kts",
        "gradle.properties": "gradle.properties",
        "pack.gradle.kts": f"{bundle.identifier}/build.gradle.kts",
        "kotlin.gradle.kts": f"{module}/build.gradle.kts",
        "GoldenTest.kt": f"{module}/src/androidTest/kotlin/edgebuild/{bundle.identifier}/GoldenTest.kt",
    }
    places |= {name: f"{source}/{name}" for name in _kotlin(bundle)}
    files = {place: _filled(template, values) for template, place in places.items()}
    return files | ({"device_targeting_config.xml": _targeting(subject).encode()} if _group(subject) else {})


def _kotlin(bundle: Contents) -> Iterator[str]:
    yield from ("Model.kt", "Port.kt")
    how = bundle.facts.subject.preprocess
    if how is not None and (_TEMPLATES / f"prepare_{how.kind}.kt").is_file():
        yield f"prepare_{how.kind}.kt"
    if any(head.decoder for head in bundle.facts.heads):
        yield "boxes.kt"


def _values(bundle: Contents) -> dict[str, str]:
    """What templates say of this bundle."""
    summary, subject = " ".join(bundle.summary.split()), bundle.facts.subject
    (runtime,) = (line for line in bundle.files()["requirements.txt"].decode().split() if line.startswith(_RUNTIME))
    group, included = _group(subject), f'A device outside of the group "{_group(subject)}" gets an empty pack'
    note = f"{included}: ask `Model.isDelivered(context)` before `Model.open(context)`." if group else ""
    targeting = (
        "    bundle {\n"
        '        deviceTargetingConfig = file("path/to/this/folder/device_targeting_config.xml")\n'
        "        deviceGroup {\n            enableSplit = true\n"
        '            defaultGroup = "other"\n        }\n    }\n'
    )
    return {
        "ORIGIN": f"{summary}. Made by edgebuild {__version__} of bundle sha256:{bundle.digest}; not to be edited.",
        "NAME": bundle.identifier,
        "MODULE": f"{bundle.identifier}_kotlin",
        "PACKAGE": f"edgebuild.{bundle.identifier}",
        "FOLDER": _folder(bundle),
        "VERSION": bundle.version,
        "SUMMARY": summary,
        "DIGEST": bundle.digest,
        "LITERT": runtime.removeprefix(_RUNTIME),
        "TARGETING": targeting if group else "",
        "DEVICES": note or "Every device gets the model: the target says neither memory nor chips of its devices.",
    }


def _filled(template: str, values: Mapping[str, str]) -> bytes:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
