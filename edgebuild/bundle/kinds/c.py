"""A bundle as C: the TFLite model in an aligned array, and a header of its signature, for those who link it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild import __version__
from edgebuild.bundle import golden
from edgebuild.bundle.facts import Port, ShippedPart
from edgebuild.bundle.kind import Contents, Kind

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array
    from edgebuild.travels import model_values

_TYPES = {
    "float32": "float", "float16": "uint16_t", "bool": "uint8_t", "int8": "int8_t", "uint8": "uint8_t",
    "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
}  # fmt: skip
_ALIGNMENT = 16  # bytes: what LiteRT for microcontrollers and XNNPACK ask of a model and its tensors


@dataclass(frozen=True, slots=True)
class C(Kind):
    """C sources: the model as an aligned array, its signature, and golden inputs with what is to come out."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>.c` and `<name>.h`, and `<name>_golden.c` and `<name>_golden.h`."""
        from edgebuild.formats import _tflite_graph

        part = bundle.only("c", "tflite")
        model = bundle.model(part)
        sides = tuple(map(_laid_out, _tflite_graph.ports(model), (part.inputs, part.outputs)))
        name = bundle.identifier
        sources = {
            f"{name}.h": _header(bundle, part, len(model), sides),
            f"{name}.c": _source(bundle, model),
            f"{name}_golden.h": _golden_header(bundle, sides),
            f"{name}_golden.c": _golden_source(bundle, sides),
        }
        for file, lines in sources.items():
            (folder / file).write_text("\n".join([_origin(bundle), "", *lines, ""]), encoding="utf-8")


def _laid_out(stored: list[model_values.Port], shown: tuple[Port, ...]) -> list[model_values.Port]:
    """The file's own ports under the names that the bundle has for them, and with their layouts."""
    return [port._replace(name=own.name, layout=own.layout) for port, own in zip(stored, shown, strict=True)]


def _origin(bundle: Contents) -> str:
    lines = (_comment(bundle.summary), f"edgebuild {__version__}, bundle sha256:{bundle.digest}, {bundle.version}")
    return f"/* {lines[0]}\n * {lines[1]}: made by `edgebuild package --as c`, not to be edited. */"


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")


def _header(
    bundle: Contents, part: ShippedPart, size: int, sides: tuple[list[model_values.Port], ...]
) -> Iterator[str]:
    """Sizes, the array, the signature and the labels."""
    name, upper = bundle.identifier, bundle.identifier.upper()
    yield from (f"#ifndef {upper}_H", f"#define {upper}_H", "", "#include <stdint.h>", "")
    yield f"#define {upper}_RELEASED {int(bundle.released)}"
    yield f"#define {upper}_VERSION {_quoted(bundle.version)}"
    yield f"#define {upper}_BYTES {size}u"
    yield f"#define {upper}_ALIGNMENT {_ALIGNMENT}u"
    if (arena := bundle.facts.evidence.arena) is not None:
        yield f"#define {upper}_ACTIVATION_BYTES {arena.candidate.bytes}u /* a static plan of them; no more will do */"
    for side, ports, shown in zip(("INPUT", "OUTPUT"), sides, (part.inputs, part.outputs), strict=True):
        yield from ("", f"#define {upper}_{side}S {len(ports)}")
        for place, (port, own) in enumerate(zip(ports, shown, strict=True)):
            yield from _port(f"{upper}_{side}_{place}", port, own.meaning)
    yield from (
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        f"extern const unsigned char {name}[{upper}_BYTES];",
    )
    for head in bundle.facts.heads:
        if head.labels:
            yield f"extern const char *const {name}_{_identifier(head.name)}_labels[{len(head.labels)}];"
    yield from ("#ifdef __cplusplus", "}", "#endif", "", "#endif")


def _port(prefix: str, port: model_values.Port, meaning: str) -> Iterator[str]:
    """One tensor as the file stores it: real value = (stored - zero point) * scale where there is a scale."""
    import numpy as np

    dtype = np.dtype(port.dtype).name
    shape = ", ".join(map(str, port.shape))
    how = "channels last" if port.layout == "nhwc" else "as in PyTorch"
    note = f"{port.name}: {dtype} [{shape}], {how}{f'; {meaning}' if meaning else ''}"
    yield f"/* {_comment(note)} */"
    yield f"#define {prefix}_NAME {_quoted(port.name)}"
    yield f"#define {prefix}_TYPE {_TYPES[dtype]}"
    yield f"#define {prefix}_RANK {len(port.shape)}"
    yield f"#define {prefix}_SHAPE {{{shape or 1}}}"
    yield f"#define {prefix}_ELEMENTS {int(np.prod(port.shape))}u"
    if port.scale:
        yield f"#define {prefix}_SCALE {_real(port.scale)}"
        yield f"#define {prefix}_ZERO_POINT {port.zero_point}"


def _source(bundle: Contents, model: bytes) -> Iterator[str]:
    """The array, and labels."""
    name = bundle.identifier
    yield from (f'#include "{name}.h"', "")
    yield from _aligned(f"const unsigned char {name}[{name.upper()}_BYTES]")
    yield from (f"    {','.join(map(str, model[at : at + 32]))}," for at in range(0, len(model), 32))
    yield "};"
    for head in bundle.facts.heads:
        if head.labels:
            yield f"const char *const {name}_{_identifier(head.name)}_labels[{len(head.labels)}] = {{"
            yield from (f"    {_quoted(label)}," for label in head.labels)
            yield "};"


def _aligned(declaration: str) -> Iterator[str]:
    yield "#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && __STDC_VERSION__ < 202311L"
    yield f"_Alignas({_ALIGNMENT})"
    yield from ("#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L", f"alignas({_ALIGNMENT})")
    yield from ("#elif defined(__GNUC__)", f"__attribute__((aligned({_ALIGNMENT})))", "#else")
    yield from ('#error "this compiler is not known to align an array"', "#endif", f"{declaration} = {{")


def _golden_header(bundle: Contents, sides: tuple[list[model_values.Port], ...]) -> Iterator[str]:
    name = bundle.identifier
    upper, vectors = name.upper(), bundle.golden("c")
    yield from (f"#ifndef {upper}_GOLDEN_H", f"#define {upper}_GOLDEN_H", "", f'#include "{name}.h"', "")
    yield "/* Inputs as the model stores them, what it is to answer, and how far each answer may be off (as stored). */"
    yield f"#define {upper}_GOLDEN {vectors.examples}"
    for place, (port, most) in enumerate(zip(sides[1], vectors.tolerance, strict=True)):
        yield f"#define {upper}_OUTPUT_{place}_TOLERANCE {_real(most / port.scale if port.scale else most)}"
    yield from ("", "#ifdef __cplusplus", 'extern "C" {', "#endif")
    yield from (f"extern const {declared};" for declared, _ in _arrays(bundle, sides))
    yield from ("#ifdef __cplusplus", "}", "#endif", "", "#endif")


def _golden_source(bundle: Contents, sides: tuple[list[model_values.Port], ...]) -> Iterator[str]:
    yield f'#include "{bundle.identifier}_golden.h"'
    for declared, values in _arrays(bundle, sides):
        yield f"const {declared} = {{"
        for example in values.reshape(len(values), -1):
            literals = [_real(v) if example.dtype.kind == "f" else _whole(v) for v in example.tolist()]
            yield f"    {{{', '.join(literals)}}},"
        yield "};"


def _arrays(bundle: Contents, sides: tuple[list[model_values.Port], ...]) -> Iterator[tuple[str, Array]]:
    """The declaration of each golden array and its values [examples, …], as the file stores them."""
    import numpy as np

    from edgebuild.travels.model_values import to_raw

    vectors = bundle.golden("c")
    for side, ports, arrays in zip(("input", "output"), sides, golden.read(bundle.folder, vectors), strict=True):
        for place, (port, values) in enumerate(zip(ports, arrays, strict=True)):
            raw = np.concatenate([to_raw(values[k : k + 1], port) for k in range(len(values))])
            raw = raw.view(np.uint16) if raw.dtype == np.float16 else raw
            prefix = f"{bundle.identifier.upper()}_{side.upper()}_{place}"
            name = f"{bundle.identifier}_golden_{side}_{place}"
            yield f"{prefix}_TYPE {name}[{bundle.identifier.upper()}_GOLDEN][{prefix}_ELEMENTS]", raw


def _real(value: float) -> str:
    """A literal that is the same float32."""
    import numpy as np

    text = repr(float(np.float32(value)))
    return {"inf": "(1.0f / 0.0f)", "-inf": "(-1.0f / 0.0f)", "nan": "(0.0f / 0.0f)"}.get(text, f"{text}f")


def _whole(value: int) -> str:
    """A literal of a whole number; the least of 64 bits has none of its own."""
    if value == -(1 << 63):
        return "INT64_MIN"
    return str(int(value)) if abs(value) < 1 << 31 else f"INT64_C({value})"


def _identifier(text: str) -> str:
    return "".join(one if one.isascii() and one.isalnum() else "_" for one in text)


def _quoted(text: str) -> str:
    """A string literal of the text in UTF-8; octal escapes end after three digits, so what follows is never part."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
