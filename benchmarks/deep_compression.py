"""Deep Compression's LeNets: the bytes that are downloaded, and what the answers lose.

LeNet-300-100 and LeNet-5, trained on 3,000 MNIST digits, are pruned, made to share values and coded by the product's
own build for the emulated Raspberry Pi 4 (`benchmarks/lenets`), which judges them on 2,000 other digits; then the
emulated Pi decodes the downloads of both formats.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from benchmarks import _project
from benchmarks._tables import Table
from edgebuild.devices.qemu import Qemu
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.formats.coding import SUFFIX, encoder
from edgebuild.nn import checkpoint
from edgebuild.report import progress
from edgebuild.spec import documents
from edgebuild.spec.constant import Constant
from edgebuild.spec.evidence import VERDICTS, Rate, Verdicts, known
from edgebuild.spec.project import Project, open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target
from edgebuild.travels import decoder
from edgebuild.verbs.build import build
from edgebuild.verbs.request import Request

HERE = Path(__file__).resolve().parent
TARGET, RECIPE = "rpi4", "deep-compression"
EXAMPLES = 2000
CLAIMED = {"lenet-300-100": 40, "lenet-5": 39}  # times smaller: Han, Mao & Dally 2016, table 1
_GATES = 'gates = [{metric = "accuracy", limit = "1 pp"}, {metric = "size", limit = "+0 %"}]\n'  # of a short run
_VERDICTS = {
    "model": ("model", ""),
    "format": ("format", ""),
    "n": ("held-out digits", ",d"),
    "before": ("float accuracy", ""),
    "after": ("coded accuracy", ""),
    "drop": ("drop", "+.2f"),
    "most": ("drop at most (pp)", ".2f"),
    "status": ("gate of 1 pp", ""),
    "download": ("download, bytes", ",d"),
    "times": ("float file / download", ".1f"),
    "claimed": ("Han 2016", "d"),
    "weights": ("weights alone", ".1f"),
    "decoded": ("decoded on the emulated Pi", ""),
}
_STAGES = {
    "model": ("model", ""),
    "format": ("format", ""),
    "stage": ("file", ""),
    "bytes": ("bytes", ",d"),
    "xz": ("xz -9e", ",d"),
    "zstd": ("zstd -22", ",d"),
    "coded": ("coded", ",d"),
    "better": ("smaller than xz by", ".1%"),
}
_NOTES = [
    "The download is the whole file as the runtime needs it, graph and biases included, and is decoded bit for bit; "
    "the float file in the same format is what it is compared with. Han et al. counted weights alone: for that column "
    "the same tensors are coded without the graph.",
    "Accuracy of the exported files on digits that no training saw, with 95 % intervals (Wilson); the drop is the "
    "candidate's against the float model, paired, and at most what Tango's one-sided 95 % bound and the host-device "
    "agreement allow. The gate is the product's own.",
]


def run(*, small: bool) -> list[Table]:
    """Build both models, take their evidence, weigh every stage, decode on the emulated core; `small`: one, tiny, whose
    evidence is this machine's.
    """
    _project.target(TARGET)
    with tempfile.TemporaryDirectory(prefix="edgebuild-lenets-") as name:
        project = lay_out(Path(name), small=small)
        models, target = tuple(project.model_folders()), project.target(TARGET)
        with progress.display(sys.stderr) as events:
            build(Request(project, (TARGET,), models, recipe=RECIPE), events, Limits())
        with closing(Store(project.store)) as store:
            verdicts = [row for model in models for row in _verdicts(store, model, target)]
            stages = [row for model in models for row in _stages(store, model, target)]
    judged = Table(
        "Judged", _VERDICTS, verdicts, _NOTES, {"times": _range([row["times"] for row in verdicts], "{:.0f}")}
    )
    return [judged, Table("Stage by stage", _STAGES, stages, figures=_by_stage(stages))]


def lay_out(folder: Path, *, small: bool) -> Project:
    """A project of the LeNets with the digits that `models/digits` reads, for the product's own target.

    But all held-out digits run on the emulated core: the nets are small, and what host and device differ in is known.
    """
    project = _project.digits(folder, small=True) if small else open_project(folder)
    if small:
        _project.short_target(folder, TARGET, _GATES, format="onnx")
    else:
        _project.with_target(folder, TARGET, examples=EXAMPLES)
    shutil.copytree(HERE / "lenets" / "recipes", folder / "recipes")
    for model in () if small else CLAIMED:
        shutil.copytree(HERE / "lenets" / model, folder / "models" / model)
        shutil.copyfile(_project.ROOT / "models" / "digits" / "model.py", folder / "models" / model / "digits.py")
    return project


def _by_stage(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """How much smaller than by xz the files of each stage are."""
    names = dict.fromkeys(row["stage"] for row in rows)
    better = {name: [100 * row["better"] for row in rows if row["stage"] == name] for name in names}
    return {name.replace(" ", "_"): _range(values, "{:.0f} %") for name, values in better.items()}


def _range(values: Sequence[float], how: str) -> str:
    least, most = how.format(min(values)), how.format(max(values))
    return least if least == most else f"{least} to {most}"


def _verdicts(store: Store, model: str, target: Target) -> Iterator[dict[str, Any]]:
    verdicts = documents.read(Verdicts, _project.made(store, f"{TARGET}/{model}/judge") / VERDICTS)
    for runtime in target.runtimes:
        kind, judged = runtime.format, verdicts.formats[runtime.format]
        (answers,), footprint = known(judged.evidence.accuracy).heads.values(), known(judged.evidence.footprint)
        verdict = next(one for one in judged.verdicts if one.metric == "accuracy")
        folder, file = _project.made(store, f"{TARGET}/{model}/{kind}/encode"), FORMATS.get(kind).file
        content = (folder / file).read_bytes()
        download = footprint.candidate.download
        yield {
            "model": model,
            "format": kind,
            "n": answers.n,
            "before": _rate(answers.baseline),
            "after": _rate(answers.candidate),
            "drop": 100 * (verdict.estimate or 0.0),
            "most": 100 * (verdict.high or 0.0),
            "status": verdict.status,
            "download": download,
            "times": footprint.baseline.bytes / download,
            "claimed": CLAIMED.get(model),
            "weights": _weights_alone(content, FORMATS.get(kind)().constants(content)),
            "decoded": _decoded_there(folder / (file + SUFFIX), content),
        }


def _stages(store: Store, model: str, target: Target) -> Iterator[dict[str, Any]]:
    """The file of each format after each technique, by every coder."""
    made = {
        "float": _project.made(store, f"{model}/float"),
        "pruned": _project.made(store, f"{TARGET}/{model}/prune_weights"),
        "shared values": _project.made(store, f"{TARGET}/{model}/codebook"),
    }
    for runtime in target.runtimes:
        form = FORMATS.get(runtime.format)()
        for stage, folder in made.items():
            loaded = checkpoint.load(folder)
            content: bytes = form.convert(loaded.module, loaded.example())
            packed = len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
            coded = len(encoder.encode(content, form.constants(content)))
            yield {
                "model": model,
                "format": runtime.format,
                "stage": stage,
                "bytes": len(content),
                "xz": packed,
                "zstd": len(zstandard.ZstdCompressor(level=22).compress(content)),
                "coded": coded,
                "better": 1 - coded / packed,
            }


def _weights_alone(file: bytes, constants: list[Constant]) -> float:
    """How many times smaller the tensors are when nothing but them is coded."""
    whole, moved = b"", []
    for constant in constants:
        moved.append(Constant(len(whole), constant.count, constant.width))
        whole += file[constant.start : constant.end]
    return len(whole) / len(encoder.encode(whole, moved))


def _decoded_there(download: Path, content: bytes) -> str:
    """Decode on the emulated core; the beginning of the file's SHA-256 where its bytes are the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(download, folder / "download")
        board = Qemu().attach(_project.target(TARGET).hardware)
        board.run(Path(decoder.__file__), ["download", "file"], folder, timeout=1800)
        same = (folder / "file").read_bytes() == content
    return f"same bytes, {hashlib.sha256(content).hexdigest()[:12]}" if same else "OTHER BYTES"


def _rate(rate: Rate) -> str:
    return f"{rate.accuracy:.2%} ({rate.low:.2%}–{rate.high:.2%})"
