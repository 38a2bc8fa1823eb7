"""The inputs of a drafted model: the file's own, with open axes as the flag says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, cast, get_args

from edgebuild.devices.timing.feeds import parse_shapes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import NUMBERS, UNKNOWN
from edgebuild.spec.names import suggest
from edgebuild.spec.signature import Element, TensorSpec
from edgebuild.spec.source import SOURCES
from edgebuild.verbs.drafting import named

if TYPE_CHECKING:
    from edgebuild.spec.look import Port, Size
    from edgebuild.verbs.drafting.examples import Recognised
    from edgebuild.verbs.drafting.interview import Interview

Shapes = Mapping[str, tuple[int, ...]]  # of --shape, with their batch axes

UNSAID: Element = "float32"  # what an input is where nobody says its type
_OTHERS: tuple[Element, ...] = ("int64", "bool")  # what networks take besides: indices and masks
_OF_ARRAYS = ("int64", "int32", "bool")  # smaller whole numbers are pixels and samples, which become float32


def declared(interview: Interview) -> tuple[TensorSpec, ...]:
    """With the batch axis left out; UsageError for axes that stay open, and for a flag that fits no input."""
    shapes, types = _parsed(interview.wishes.shapes)
    ports = interview.look.inputs
    if not ports and not interview.coded and interview.network is None:
        reason = "takes no inputs: it answers the same whatever it is asked"
        raise UsageError(
            reason, file=str(interview.file), hint="export it with its inputs, not with an example of them"
        )
    if not ports:  # neither a state dict nor a class says what it takes
        if not shapes:
            alone = f"edgebuild init net.py:CLASS --weights {interview.file} takes both"
            hint = None if interview.network else f"these are weights without their network: {alone}"
            shapes, types = _parsed([interview.needed("--shape", "NAME=1,SIZE,… of its input", hint)])
        return tuple(TensorSpec(name, shape[1:], types.get(name, UNSAID)) for name, shape in shapes.items())
    names = [port.name for port in ports]
    for name in shapes.keys() - {*names}:
        raise UsageError(f"has no input {name!r}", file=str(interview.file), key="--shape", hint=suggest(name, names))
    for port in ports:
        if types.get(port.name, port.dtype) != port.dtype:
            reason = f"input is {port.shown}, not {types[port.name]}"
            raise UsageError(reason, file=str(interview.file), key="--shape")
    free = [port for port in ports if port.name not in interview.constants]
    if not free:
        raise UsageError("would leave no input at all", file=str(interview.file), key="--constant")
    if names := numbers(interview):
        interview.guesses.append(f"{' and '.join(map(repr, names))} may be any number; {fixed(names)}")
    return tuple(_spec(interview, port, shapes) for port in free)


def typed(interview: Interview, taken: tuple[TensorSpec, ...], data: Recognised) -> tuple[TensorSpec, ...]:
    """With the element types that neither a file nor a flag says: those of arrays that hold whole numbers or truth
    values, as far as the network takes them, else float32 or what it takes in its place.
    """
    said = {port.name for port in interview.look.inputs} | _parsed(interview.wishes.shapes)[1].keys()
    unsaid = [spec for spec in taken if spec.name not in said]
    arrays = {
        spec.name: cast(Element, dtype)
        for spec in unsaid
        if (dtype := data.guess.dtypes.get(spec.name, UNSAID)) in _OF_ARRAYS
    }
    if not unsaid:
        return taken
    if interview.network is None:  # nobody can ask it
        chosen = tuple(replace(spec, dtype=arrays.get(spec.name, spec.dtype)) for spec in taken)
    else:
        kinds = {spec.name: tuple(dict.fromkeys([arrays.get(spec.name, UNSAID), UNSAID, *_OTHERS])) for spec in unsaid}
        chosen = named.typed(interview.network, taken, kinds, interview.patience)
    for spec in (spec for spec in chosen if spec not in taken):
        why = "as its array" if arrays.get(spec.name) == spec.dtype else f"since {UNSAID} is not what it takes"
        sizes = ",".join(map(str, (1, *spec.shape)))
        line = f"input {spec.name!r} is {spec.dtype}, {why}; --shape {spec.name}={sizes}:TYPE says otherwise"
        interview.guesses.append(line)
    return chosen


def numbers(interview: Interview) -> list[str]:
    """Inputs that are one whole number, as rates and switches are, of a source that may have them always the same."""
    source = SOURCES.get(interview.source)
    if not is_dataclass(source) or all(each.name != "constants" for each in fields(source)):
        return []
    free = (port for port in interview.look.inputs if port.name not in interview.constants)
    return [port.name for port in free if port.shape in ((), (1,)) and "int" in port.dtype]


def fixed(names: Sequence[str]) -> str:
    """What says that inputs are always the same."""
    return f"where it is always the same, such as a sample rate: {' '.join(f'--constant {name}=…' for name in names)}"


def element(interview: Interview, name: str, dtype: str) -> Element:
    """The element type of a tensor; UsageError for one that no model has here."""
    if dtype not in get_args(Element):
        reason = f"{name!r} has elements of type {dtype}, and models have {', '.join(get_args(Element))}"
        raise UsageError(reason, file=str(interview.file), hint=NUMBERS if dtype == "string" else None)
    return cast(Element, dtype)


def _parsed(texts: Iterable[str]) -> tuple[dict[str, tuple[int, ...]], dict[str, Element]]:
    """Shapes by input, and the element types of those that have one behind a colon, as in "ids=1,16:int64"."""
    plain, types = list[str](), dict[str, Element]()
    for text in texts:
        name, equals, value = text.rpartition("=")
        sizes, colon, dtype = value.partition(":")
        if colon and dtype not in get_args(Element):
            hint = suggest(dtype, get_args(Element))
            raise UsageError(f"{text!r} has no element type {dtype!r}", key="--shape", hint=hint)
        plain.append(f"{name}{equals}{sizes}")
        types |= {name: cast(Element, dtype)} if colon else {}
    return parse_shapes(plain), types


def _spec(interview: Interview, port: Port, shapes: Shapes) -> TensorSpec:
    if port.shape == UNKNOWN:
        reason = f"input {port.shown} does not say how many axes it has, and runtimes take it for a number"
        raise UsageError(reason, file=str(interview.file), hint="write its shape into the file, or export it anew")
    sizes = [*_sizes(interview, port, shapes)]
    if 0 in sizes:
        reason = f"input {port.shown} has an axis of size 0, into which nothing goes"
        raise UsageError(reason, file=str(interview.file), hint="export it with that axis open, or of its size")
    whole = _unbatched(interview, port)
    if not whole and (not sizes or (sizes[0] != 1 and not isinstance(sizes[0], str))):
        reason = f"input {port.shown} has no batch axis of 1 in front, and examples go in one by one"
        raise UsageError(reason, file=str(interview.file), hint="export it with an open batch, or one of 1")
    fits = len(sizes) == len(port.shape) and all(
        isinstance(own, str) or own == size for own, size in zip(port.shape, sizes, strict=True)
    )
    if not fits and not any(isinstance(size, str) for size in port.shape[:1]):
        raise UsageError(f"input is {port.shown}, not {sizes}", file=str(interview.file), key="--shape")
    example = sizes if whole else sizes[1:]
    return TensorSpec(port.name, tuple(int(size) for size in example), element(interview, port.name, port.dtype))


def _unbatched(interview: Interview, port: Port) -> bool:
    """Whether no axis or another than the batch stands in front, and the source takes such an input for one example."""
    other = not port.shape or (isinstance(port.shape[0], int) and port.shape[0] != 1)
    return other and SOURCES.get(interview.source).unbatched


def _sizes(interview: Interview, port: Port, shapes: Shapes) -> tuple[Size, ...]:
    """As the flag or an answer has them; without either, the file's own, of which the batch alone may be open."""
    if port.name in shapes:
        return shapes[port.name] or port.shape
    open_ = [size for size in port.shape[1:] if isinstance(size, str)]
    if not open_:
        return port.shape
    if len(open_) == 1 and _unbatched(interview, port):  # time stands in front, and what is open is the batch
        return tuple(1 if isinstance(size, str) else size for size in port.shape)
    first = port.shape[0] if isinstance(port.shape[0], int) else 1
    example = ",".join([str(first), *("N" if isinstance(size, str) else str(size) for size in port.shape[1:])])
    question = f"a shape for input {port.shown}, such as {port.name}={example}"
    return _parsed([interview.needed("--shape", question)])[0][port.name]
