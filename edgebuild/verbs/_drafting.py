"""Drafts a model.toml for a file: what is known of it, what is guessed, with the reason, and what must be asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from edgebuild.devices.timing.feeds import parse_shapes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest
from edgebuild.spec.outputs import USUAL_TASK
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.project import Project
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Element, TensorSpec
from edgebuild.spec.source import SOURCES
from edgebuild.verbs import _answered, _arrays
from edgebuild.verbs.inspect import Inspected

if TYPE_CHECKING:
    from edgebuild.spec.look import Port

Ask = Callable[[str, str], str]  # flag and question → what somebody answered

Way = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of pixels in 0..1
# As most networks were trained: plainly, on ImageNet's statistics, as Keras does for some, and on raw pixels.
_WAYS: Mapping[str, Way] = {
    "as 0 to 1": ((0.0,), (1.0,)),
    "by ImageNet's mean and deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "as -1 to 1": ((0.5,), (0.5,)),
    "as 0 to 255": ((0.0,), (1 / 255,)),
}
_TRIED = 32  # pictures

_CODE = '''"""{name}: the network whose weights are in {file}."""

from torch import nn


def build() -> nn.Module:
    """The network, with any weights: those of {file} are put into it."""
    raise NotImplementedError("return the torch.nn.Module that {file} was saved from")
'''


@dataclass(frozen=True, slots=True)
class Wishes:
    """What flags say; `shapes` are texts such as "image=1,3,224,224", `size` of pictures is (height, width)."""

    name: str | None = None
    data: Path | None = None
    task: str | None = None
    labels: str | None = None
    shapes: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    crop: float | None = None
    target: str = "host"


@dataclass(slots=True)
class Draft:
    """The text of a model.toml, and the code where the source needs some; what was guessed is told in both."""

    project: Project
    file: Path
    name: str
    found: Inspected
    wishes: Wishes
    ask: Ask | None
    guesses: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    @property
    def code(self) -> str | None:
        """A model.py to be filled in; None where the file is the whole model."""
        return _CODE.format(name=self.name, file=self.file.name) if self._coded else None

    @property
    def _coded(self) -> bool:
        return SOURCES.get(self.found.source).coded

    def text(self) -> str:
        """UsageError, with the flag, for what is neither known, nor guessed, nor answered."""
        inputs = self._inputs()
        data = self._data()
        folder = data.is_dir()
        outputs = self._outputs(inputs)
        task = self._task(data)
        lines = [f"description = {_toml(f'{self.name}: {self.found.look.what}, from {self.file.name}')}"]
        if self._coded:
            lines += ['builder = "build"', f"weights = {_toml(self.file.name)}"]
        lines += self._answers(task, outputs, data)
        lines += ["", "[data]", *self._table(data)]
        if not self._coded:
            lines += ["", "[source]", f"use = {_toml(self.found.source)}", f"file = {_toml(self.file.name)}"]
            if self.found.look.beside:
                lines += [f"external = {_toml(list(self.found.look.beside))}"]
        for spec in inputs:
            lines += ["", "[[inputs]]", f"name = {_toml(spec.name)}", f"shape = {list(spec.shape)}"]
            lines += [f"dtype = {_toml(spec.dtype)}"] if spec.dtype != "float32" else []
        if folder or self._pictures_in(data):
            lines += ["", "[preprocess]", *self._preprocess(inputs, data, outputs)]
        return "\n".join([*lines, ""])

    def _inputs(self) -> tuple[TensorSpec, ...]:
        """With the batch axis left out; open axes are those of --shape."""
        shapes = parse_shapes(self.wishes.shapes)
        ports = self.found.look.inputs
        if not ports:  # a state dict does not say what it takes
            shapes = shapes or parse_shapes([self._needed("--shape", "NAME=1,SIZE,… of its input")])
            return tuple(TensorSpec(name, shape[1:]) for name, shape in shapes.items())
        names = [port.name for port in ports]
        for name in shapes.keys() - {*names}:
            raise UsageError(f"has no input {name!r}", file=str(self.file), key="--shape", hint=suggest(name, names))
        return tuple(self._spec(port, shapes) for port in ports)

    def _spec(self, port: Port, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
        shape = shapes.get(port.name)
        if shape is None and any(isinstance(size, str) for size in port.shape[1:]):
            example = ",".join(["1", *("N" if isinstance(size, str) else str(size) for size in port.shape[1:])])
            told = f"a shape for input {port.shown}, such as {port.name}={example}"
            shape = parse_shapes([self._needed("--shape", told)])[port.name]
        sizes = [*(shape or port.shape)]
        if not sizes or (sizes[0] != 1 and not isinstance(sizes[0], str)):
            told = f"input {port.shown} has no batch axis of 1 in front, and examples go in one by one"
            raise UsageError(told, file=str(self.file))
        fits = len(sizes) == len(port.shape) and all(
            isinstance(own, str) or own == size for own, size in zip(port.shape, sizes, strict=True)
        )
        if not fits and isinstance(port.shape[0], int):
            raise UsageError(f"input is {port.shown}, not {sizes}", file=str(self.file), key="--shape")
        return TensorSpec(port.name, tuple(int(size) for size in sizes[1:]), self._element(port.name, port.dtype))

    def _element(self, name: str, dtype: str) -> Element:
        if dtype not in get_args(Element):
            told = f"{name!r} has elements of type {dtype}, and models have {', '.join(get_args(Element))}"
            raise UsageError(told, file=str(self.file))
        return cast(Element, dtype)

    def _needed(self, flag: str, question: str) -> str:
        """What somebody answers; UsageError with the flag where nobody is there."""
        if self.ask is None:
            raise UsageError(f"is missing: {question}", file=str(self.file), key=flag)
        return self.ask(flag, question)

    def _data(self) -> Path:
        question = "a folder of pictures with a folder for each class, or an .npz of arrays"
        data = self.wishes.data or Path(self._needed("--data", question)).expanduser()
        if not data.exists():
            raise UsageError(f"no such file or folder: {str(data)!r}", key="--data")
        if not data.is_dir() and data.suffix != ".npz":
            raise UsageError(f"{str(data)!r} is neither a folder of pictures nor an .npz of arrays", key="--data")
        return data.resolve()

    def _table(self, data: Path) -> list[str]:
        """The lines of [data]; paths within the project start from the model's folder."""
        inside = data.is_relative_to(self.project.root)
        path = os.path.relpath(data, self.project.root / "models" / self.name) if inside else str(data)
        lines = ['use = "images"', f"folder = {_toml(path)}"]
        if not data.is_dir():
            lines = ['use = "npz"', f"file = {_toml(path)}"]
        if not self._coded:  # nothing is learnt: more is left to judge by
            return [*lines, "test = 0.5  # of all examples, for the judge, where the data brings no test split"]
        return lines

    def _outputs(self, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """What the file answers to zeros; nothing is known of a state dict."""
        if self._coded:
            return ()
        shapes = _answered.shapes(self.found.source, self.file, inputs)
        return tuple(
            TensorSpec(port.name, shape, self._element(port.name, dtype))
            for port, (shape, dtype) in zip(self.found.look.outputs, shapes, strict=True)
        )

    def _task(self, data: Path) -> str:
        if self.wishes.task is not None:
            TASKS.get(self.wishes.task, key="--task")
            return self.wishes.task
        if data.is_dir():
            return USUAL_TASK
        guess = USUAL_TASK if _arrays.whole_labels(data) else "regression"
        self.guesses.append(f"task {guess!r}, since labels are {'whole' if guess == USUAL_TASK else 'real'} numbers")
        return guess

    def _answers(self, task: str, outputs: tuple[TensorSpec, ...], data: Path) -> list[str]:
        """The lines that say what the model answers."""
        own = [] if task == USUAL_TASK else [f"task = {_toml(task)}"]
        if len(outputs) <= 1 and (not outputs or len(outputs[0].shape) == 1):
            width = outputs[0].shape[0] if outputs else None
            if TASKS.get(task).choice:
                return [*own, *self._labels(data, width)]
            return [*own, f"outputs = {width or 1}{'' if width else '  # guessed: how many values it answers'}"]
        self.guesses.append(f"{task} is asked of output {outputs[0].name!r}, the first; the others are held to parity")
        lines = [f"# {self.guesses[-1]}"]
        for place, spec in enumerate(outputs):
            lines += ["[[outputs]]", f"name = {_toml(_plain(spec.name))}", f"shape = {list(spec.shape)}"]
            lines += [f"dtype = {_toml(spec.dtype)}"] if spec.dtype != "float32" else []
            if place == 0:
                lines += [f"task = {_toml(task)}"]
                lines += self._labels(data, spec.shape[-1]) if TASKS.get(task).choice else []
        return lines

    def _labels(self, data: Path, width: int | None) -> list[str]:
        """The line with the names of classes: those of --labels, else of the folders, else numbers."""
        told, folders = "", _arrays.classes(data)
        if self.wishes.labels is not None:
            self.classes = _names(self.wishes.labels)
        elif folders and width in (None, len(folders)):
            self.guesses.append("classes are the folders in the order of their names, as most training code has them")
            self.classes, told = folders, "  # guessed: the folders in the order of their names"
        elif folders:
            question = f"the model answers {width} classes, the data has {len(folders)} folders: name all, in order"
            self.classes = _names(self._needed("--labels", question))
        else:
            self.guesses.append("classes are named by their numbers; --labels names them")
            self.classes = [str(number) for number in range(width or _arrays.count(data))]
        if width is not None and len(self.classes) != width:
            raise UsageError(f"names {len(self.classes)} classes, and the model answers {width}", key="--labels")
        return [f"labels = {_toml(self.classes)}{told}"]

    def _pictures_in(self, data: Path) -> bool:
        """Whether an .npz has pictures of 8 bits, which are to be prepared."""
        return not data.is_dir() and len(self.found.look.inputs) <= 1 and _arrays.has_pictures(data)

    def _preprocess(self, inputs: tuple[TensorSpec, ...], data: Path, outputs: tuple[TensorSpec, ...]) -> list[str]:
        if len(inputs) != 1 or len(inputs[0].shape) != 3:
            shown = "; ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
            raise UsageError(
                f"pictures are for one input of three axes, not {shown}", file=str(self.file), key="--data"
            )
        shape = inputs[0].shape
        first = shape[0] in (1, 3)
        if not first and shape[2] not in (1, 3):
            raise UsageError(f"pictures have 1 or 3 channels, input {list(shape)} has neither", file=str(self.file))
        channels, height, width = shape if first else (shape[2], shape[0], shape[1])
        if self.wishes.size not in (None, (height, width)):
            told = f"the model takes pictures of {height}×{width}"
            raise UsageError(told, file=str(self.file), key="--size", hint="--shape fixes open sizes")
        lines = [f"width = {width}", f"height = {height}", f"channels = {channels}"]
        lines += [] if first else ['layout = "nhwc"']
        lines += [f"crop = {self.wishes.crop}"] if self.wishes.crop is not None else []
        known = {"width": width, "height": height, "channels": channels, "crop": self.wishes.crop}
        return [*lines, *self._normalised(known | ({} if first else {"layout": "nhwc"}), data, outputs)]

    def _normalised(self, known: dict[str, Any], data: Path, outputs: tuple[TensorSpec, ...]) -> list[str]:
        """Mean and deviation: what flags say, else what the file answers best, of what is usual."""
        if self.wishes.mean is not None or self.wishes.std is not None:
            return [f"mean = {list(self.wishes.mean or (0.0,))}", f"std = {list(self.wishes.std or (1.0,))}"]
        ways = {name: way for name, way in _WAYS.items() if len(way[0]) in (1, known["channels"])}
        name, why = self._best(ways, known, data, outputs)
        self.guesses.append(f"pixels go in {name}{why}; --mean and --std say otherwise")
        mean, std = ways[name]
        told = f"  # guessed: {name}{why}; value = (pixel / 255 - mean) / std"
        return [f"mean = {list(mean)}{told}", f"std = {list(std)}"]

    def _best(
        self, ways: Mapping[str, Way], known: dict[str, Any], data: Path, outputs: tuple[TensorSpec, ...]
    ) -> tuple[str, str]:
        """The way by which most pictures of some are answered right, the first of several, and in words why."""
        pictures = _arrays.some_pictures(data, _TRIED, self.classes)
        if len(outputs) != 1 or len(outputs[0].shape) != 1 or not pictures:
            return next(iter(ways)), ""
        right = {
            name: _answered.right(self.found.source, self.file, ImageInput(**known, mean=mean, std=std), pictures)
            for name, (mean, std) in ways.items()
        }
        best = max(right, key=lambda name: right[name])
        others = ", ".join(f"{count} {name}" for name, count in right.items() if name != best)
        return best, f", with which {right[best]} of {len(pictures)} pictures are answered right ({others})"


def _plain(name: str) -> str:
    """A name that an output may have in a model.toml."""
    plain = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name)
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"


def _names(text: str) -> list[str]:
    """Of a file with a name on each line, or separated by commas."""
    path = Path(text)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{text!r} cannot be read: {error}", key="--labels") from None
    names = [line.strip() for line in lines if line.strip()]
    if len(names) < 2:
        raise UsageError(
            f"{text!r} names fewer than two classes", key="--labels", hint="a,b,c or a file with a line each"
        )
    return names


def _toml(value: str | list[str]) -> str:
    """As TOML has it: a JSON string is one, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
