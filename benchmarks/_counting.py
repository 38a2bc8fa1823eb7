"""Counted work of a network's files on a target's emulated core, kept so that nothing is counted twice."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.mobilenets import NUMBERS, File, build, noise
from edgebuild.devices.emulation import counted
from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs.job import INPUTS, JobModel, write_inputs
from edgebuild.devices.qemu import COUNTS, Qemu
from edgebuild.spec import documents, model_file
from edgebuild.spec.evidence import Counted
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target

KEPT = Path.home() / ".cache" / "edgebuild" / "benchmarks" / "counts"
_TIMEOUT = 7200.0
_TOOLS = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "onnxruntime", "numpy")
_NO_OUTPUT = ("board", "time")  # of a core: what changes nothing that is counted


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one inference of a file: its digest, how often each kind of operator runs, what was counted."""

    sha256: str
    operators: Mapping[str, int]
    counted: Counted

    @property
    def whole(self) -> Counted:
        """What was counted, with the number of operators."""
        return replace(self.counted, operators=float(sum(self.operators.values())))


def works(found: Target, net: str, kind: str, wanted: Collection[str] = NUMBERS) -> dict[str, Work]:
    """The work of the files of a network in the format `kind`, by their numbers; counted unless kept."""
    core = found.hardware.core
    assert core is not None  # the target predicts time
    assert core.time is not None
    device = Qemu().attach(found.hardware)
    folder = KEPT / _key(device, net, kind)
    if missing := [numbers for numbers in wanted if not (folder / f"{numbers}.json").is_file()]:
        _count(device, net, kind, missing, folder)
    return {numbers: _read(device, folder, numbers, core.time.mcpu) for numbers in wanted}


def _key(device: Qemu, net: str, kind: str) -> str:
    """What counts depend on: how the files are made, the core, and what emulates it."""
    hardware = device.hardware
    assert hardware is not None
    assert hardware.core is not None
    core = {name: value for name, value in asdict(hardware.core).items() if name not in _NO_OUTPUT}
    parts = [net, kind, {tool: version(tool) for tool in _TOOLS}, core, device.fingerprint()]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{net}-{kind}-{hardware.cpu}-{digest[:16]}"


def _count(device: Qemu, net: str, kind: str, missing: Collection[str], folder: Path) -> None:
    """Build the files, execute each that is missing twice, and count the second time."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for file in build(Path(scratch), net, kind, wanted=missing):
            print(f"counting {file.title} {file.numbers} {kind} on {folder.name}", file=sys.stderr, flush=True)
            _count_file(device, file, Path(scratch) / file.numbers, folder)


def _count_file(device: Qemu, file: File, job: Path, results: Path) -> None:
    job.mkdir()
    write_inputs(job / INPUTS, (noise(file.net, 1, seed=0),))
    model = JobModel("model", file.path, layouts=model_file.layouts(file.path))
    jobs.write(job, "count", [model], job / INPUTS, count_warmups=1)
    device.execute(job, timeout=_TIMEOUT)
    content = file.path.read_bytes()
    kinds = Counter(each.signature.split("(")[0] for each in FORMATS.get(file.format)().work(content))
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "operators": dict(sorted(kinds.items()))}
    (results / f"{file.numbers}.jsonl.gz").write_bytes(gzip.compress((job / COUNTS).read_bytes()))
    (results / f"{file.numbers}.json").write_text(
        json.dumps(facts), encoding="utf-8"
    )  # last: it says that all is there


def _read(device: Qemu, folder: Path, numbers: str, mcpu: str) -> Work:
    """The work with the cycles of these pipelines, which are kept too."""
    kept = folder / f"{numbers}-{mcpu}.json"
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            counts = Path(scratch) / COUNTS
            counts.write_bytes(gzip.decompress((folder / f"{numbers}.jsonl.gz").read_bytes()))
            work = device.work(counted.least(counted.parse(counts)), mcpu)
        kept.write_text(json.dumps(documents.to_json(work)), encoding="utf-8")
    facts = json.loads((folder / f"{numbers}.json").read_text(encoding="utf-8"))
    work = documents.from_json(Counted, json.loads(kept.read_text(encoding="utf-8")), file=str(kept))
    return Work(facts["sha256"], facts["operators"], work)
