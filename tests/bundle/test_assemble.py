"""Bundles of real model files: what is in them, what the card and the manifest say, and that they run by themselves."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.bundle import manifest
from edgebuild.bundle.assemble import Assemble
from edgebuild.bundle.facts import Port, Routed, Subject
from edgebuild.devices.local import Local
from edgebuild.plan.shipping import distributions
from edgebuild.report.summary import show_bundle
from edgebuild.spec import calibration, dataset, documents
from edgebuild.spec.artifact import Input, Record, StepIO
from edgebuild.spec.assembly import Assembly
from edgebuild.spec.calibration import Calibration
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Accuracy, Answers, Footprint, Latencies, Rate, known
from edgebuild.spec.preprocess import ImageInput
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Gate, Runtime
from edgebuild.steps.evidence.judge import Judge
from edgebuild.steps.evidence.outputs import Outputs
from tests import measured, runtimes, tiny
from tests.bundle import pngs
from tests.steps.evidence import folders

PICTURE = ImageInput(width=12, height=12, mean=(0.5,), std=(0.5,))
CALIBRATED = Calibration(16, "ab" * 32, 9, 8, 1)
PROVENANCE = (
    Record("tiny/float", "0" * 64, "1" * 64, "same-cpu", {"step": "edgebuild.steps.train.Train"}),
    Record("tiny/onnx/int8", "2" * 64, "3" * 64, "same-cpu", {}, calibration=CALIBRATED),
)


def subject(made: tiny.Made, **more: Any) -> Subject:
    declared = tiny.spec(made.name).declared
    what = (made.name, declared.description, declared.signature, declared.heads)
    return replace(Subject("board", "A board", "cortex-a72", *what, None, 3), **more)


def assemble(
    made: tiny.Made,
    folder: Path,
    *formats: str,
    gates: tuple[Gate, ...] = (),
    lost: int = 0,
    technique: str = "",
    candidate: Path | None = None,
    answers: bool = False,
    providers: tuple[str, ...] = (),
    **more: Any,
) -> Path:
    """The output folder of the step, judged on evidence made by hand; `candidate` was made of the float file."""
    signature = tiny.spec(made.name).declared.signature
    assemblies = tuple(
        Assembly.of_one(tiny.FILES[name], Runtime(name, threads=2, providers=providers), signature) for name in formats
    )
    inputs: dict[str, tuple[str, Path]] = {"data": ("data", made["data"])}
    evidence: dict[str, tuple[str, Path]] = {}
    for name in formats:
        right = Answers(5000, lost, 0, Rate(0.98, 0.97, 0.99), Rate(0.99, 0.97, 0.99), {}, {})
        heads = {tiny.spec(made.name).declared.heads[0].name: right}
        evidence[f"accuracy/{name}"] = folders.evidence(folder / f"a-{name}", Accuracy(measured.origin(), heads))
        sizes = Footprint(measured.weight(1000), measured.weight(4000))
        evidence[f"footprint/{name}"] = folders.evidence(folder / f"f-{name}", sizes)
        shipped = candidate or made[name + technique]
        inputs |= {f"candidate/{name}": (name, shipped), f"baseline/{name}": (name, made[name])}
        if answers:
            inputs[f"answers/{name}"] = ("outputs", _answers(made, name, shipped, folder / f"o-{name}"))
    # The last format is the fastest.
    times = {name: measured.estimated(0.1, speed=1.0 / (1 + k)) for k, name in enumerate(formats)}
    evidence["latency"] = folders.evidence(folder / "l", Latencies(times))
    judge = Judge(gates or (Gate("size", "-50 %"), Gate("accuracy", "1 pp")), formats)
    inputs["verdicts"] = ("verdicts", tiny.perform(judge, folder / "verdicts", evidence))
    inputs |= {f"evidence/{role.replace('/', '-')}": item for role, item in evidence.items()}
    packages = {name: distributions(FORMATS.get(name)) for name in formats}
    step = Assemble(subject(made, **more), assemblies, packages)
    out = folder / "out"
    out.mkdir(parents=True)
    step.run(StepIO({r: Input(k, "0" * 64, p) for r, (k, p) in inputs.items()}, out, out, provenance=PROVENANCE))
    return out


def _answers(made: tiny.Made, name: str, candidate: Path, folder: Path) -> Path:
    """What a file answers on this machine, as a plan would ask for it."""
    inputs = {"model": (name, candidate), "data": ("data", made["data"])}
    return tiny.perform(Outputs(Local(), "host"), folder, inputs)


def _plain(port: Port) -> dict[str, Any]:
    plain: dict[str, Any] = documents.to_json(port)
    return {name: value for name, value in plain.items() if value != ""}


def execute(bundle: Path, *arguments: str, expect: int = 0) -> str:
    """What `run.py` prints when it is started somewhere else, without this package."""
    done = subprocess.run(
        [sys.executable, "-I", str(bundle / "run.py"), *arguments], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if expect == 0 else done.stderr


@pytest.fixture(scope="module")
def released(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a picture, made of two formats of which the second ships; tests must not change it."""
    out = assemble(made, tmp_path_factory.mktemp("released"), "tflite", "onnx", preprocess=PICTURE)
    return out / "bundle"


def test_it_holds_the_fastest_passing_file_and_all_that_it_takes_to_run_it(made: tiny.Made, released: Path) -> None:
    names = {path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()}
    assert {name for name in names if "/" not in name} == {
        "README.md", "draw_image.py", "labels.json", "load_onnx.py", "manifest.json", "manifest.sha256", "model.onnx",
        "model_values.py", "prepare_image.py", "preprocess.json", "requirements.txt", "run.py", "sample.png",
    }  # fmt: skip
    assert {name.split("/")[1] for name in names if "/" in name} == {
        "accuracy-onnx", "accuracy-tflite", "calibration.json", "footprint-onnx", "footprint-tflite", "latency",
    }  # fmt: skip
    assert (released / "model.onnx").read_bytes() == made.file("onnx").read_bytes()
    assert json.loads((released / "labels.json").read_text()) == list(tiny.spec("tiny").declared.labels)
    pinned = (released / "requirements.txt").read_text().splitlines()
    assert pinned == ["numpy>=1.24", f"onnxruntime=={metadata.version('onnxruntime')}"]


def test_what_ranges_came_from_is_in_evidence_and_report(
    released: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert calibration.read_all(released / "evidence") == {"tiny/onnx/int8": CALIBRATED}
    show_bundle(manifest.verify_bundle(released))
    told = "calibrated: tiny/onnx/int8: ranges come from 16 training examples (SHA-256 abababababab…); 8 of 9 are not"
    assert told in capsys.readouterr().out


def test_the_manifest_says_what_it_is_of_what_and_why(released: Path) -> None:
    facts = manifest.verify_bundle(released)
    assert (facts.status, facts.format, facts.kind) == ("released", "onnx", "bundle")
    (part,) = facts.parts
    assert (part.file, part.runtime, part.coded) == ("model.onnx", Runtime("onnx", threads=2), None)
    assert facts.routing == (
        Routed((None, "image"), ("model", "image")),
        Routed(("model", "output"), (None, "output")),
    )
    assert facts.formats == {"onnx": "pass", "tflite": "pass"}
    assert [(v.metric, v.status) for v in facts.verdicts] == [("size", "pass"), ("accuracy", "pass")]
    assert known(facts.evidence.accuracy).heads["output"].n == 5000
    assert known(facts.evidence.footprint).baseline.bytes == 4000
    assert facts.provenance == PROVENANCE
    assert facts.subject.preprocess == PICTURE
    assert set(facts.files) == {
        path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()
    } - {"manifest.json", "manifest.sha256"}


def test_the_manifest_reads_back_as_it_was_written(released: Path) -> None:
    written = json.loads((released / "manifest.json").read_text())
    assert written.pop("schema") == documents.SCHEMA == 2
    assert documents.to_json(manifest.read_bundle(released)) == written


def test_a_manifest_with_a_field_that_is_unknown_or_missing_is_refused_by_its_name(
    released: Path, tmp_path: Path
) -> None:
    for number, change in enumerate((lambda port: port.pop("dtype"), lambda port: port.update(scale=1))):
        bundle = shutil.copytree(released, tmp_path / str(number))
        written = json.loads((bundle / "manifest.json").read_text())
        change(written["parts"][0]["inputs"][0])
        (bundle / "manifest.json").write_text(json.dumps(written))
        digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
        (bundle / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
        with pytest.raises(UsageError, match=r"inputs\[0\].(dtype: is missing|scale: is unknown) \(it is of"):
            manifest.read(bundle)


def test_the_card_has_the_verdict_of_every_gate_and_the_figures(released: Path) -> None:
    card = (released / "README.md").read_text()
    assert "# tiny for board" in card
    assert "status: **released**" in card
    assert "| accuracy on 5000 held-out examples | 99.00 % | 98.00 % |" in card
    assert "| bytes | 4000 | 1000 |" in card
    assert "| multiply-accumulates | 30000 | 30000 |" in card
    for verdict in json.loads((released / "manifest.json").read_text())["verdicts"]:
        columns = [str(verdict[name]) for name in ("metric", "limit", "status", "n", "fidelity", "reason")]
        assert f"| {' | '.join(columns)} |" in card
    assert "python run.py sample.png" in card
    assert "Input: image float32 [1, 12, 12] with a batch axis of 1." in card
    assert "each of 4 labels" in card
    assert "{{" not in card


def test_the_sample_picture_is_answered_as_the_runtime_answers_the_example(made: tiny.Made, released: Path) -> None:
    pixels = pngs.decode((released / "sample.png").read_bytes())
    assert pixels.shape == (12, 12, 1)
    said = execute(released, str(released / "sample.png"), "--top", "4")
    name, _, rest = said.strip().partition(": ")
    assert name == "sample.png"
    shares = {part.rpartition(" (")[0]: float(part.rpartition("(")[2].split()[0]) for part in rest.split(", ")}
    assert set(shares) == set(tiny.spec("tiny").declared.labels)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)


@pytest.mark.parametrize("name", runtimes.formats())
@pytest.mark.parametrize("model", ["made", "pair", "tokens"])
def test_a_bundle_answers_its_sample_array_as_the_file_does(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, name: str
) -> None:
    """One input, two inputs and whole numbers; the label and the share are those of the runtime's own outputs."""
    made: tiny.Made = request.getfixturevalue(model)
    bundle = assemble(made, tmp_path, name) / "bundle"
    sample = "sample.npz" if model == "pair" else "sample.npy"
    values = dataset.read(made["data"], "test").inputs
    with np.load(bundle / sample) if model == "pair" else _one(bundle / sample) as stored:
        for position, value in enumerate(values):
            assert np.array_equal(stored[str(position)], value[3:4])
    logits = runtimes.file_answers(made, name, count=4)[3].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    label = tiny.spec(made.name).declared.labels[int(shares.argmax())]
    assert execute(bundle, str(bundle / sample)) == f"{sample}: {label} ({100 * shares.max():.1f} %)\n"


@pytest.mark.parametrize(
    ("model", "name", "inputs"),
    [
        ("made", "tflite", [{"name": "image", "layout": "nhwc", "shape": [1, 12, 12, 1], "dtype": "float32"}]),
        ("made", "onnx", [{"name": "image", "layout": None, "shape": [1, 1, 12, 12], "dtype": "float32"}]),
        (
            "pair",
            "tflite",
            [
                {"name": "picture", "layout": "nhwc", "shape": [1, 8, 8, 1], "dtype": "float32"},
                {"name": "facts", "layout": None, "shape": [1, 5], "dtype": "float32"},
            ],
        ),
    ],
)
def test_the_manifest_and_the_card_say_how_the_file_takes_pictures(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, name: str, inputs: list[dict[str, Any]]
) -> None:
    bundle = assemble(request.getfixturevalue(model), tmp_path, name) / "bundle"
    assert [_plain(port) for port in manifest.verify(bundle).parts[0].inputs] == inputs
    told = f"The file itself takes {inputs[0]['name']} as {inputs[0]['shape']} (NHWC)"
    assert (told in (bundle / "README.md").read_text()) == (name == "tflite")


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "AzureExecutionProvider"])
def test_what_a_wanted_provider_does_not_do_is_told_beside_the_answer(
    made: tiny.Made, tmp_path: Path, provider: str
) -> None:
    """The one is not in this build of ONNX Runtime, the other is and computes nothing of this model."""
    bundle = assemble(made, tmp_path, "onnx", providers=(provider,)) / "bundle"
    command = [sys.executable, "-I", str(bundle / "run.py"), str(bundle / "sample.npy"), str(bundle / "sample.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("run.py: ")
    assert provider in line
    assert "CPUExecutionProvider" in line


def test_a_bundle_whose_answers_are_values_prints_them(arrows: tiny.Made, tmp_path: Path) -> None:
    bundle = assemble(arrows, tmp_path, "onnx") / "bundle"
    values = runtimes.file_answers(arrows, "onnx", count=4)[3]
    name, _, said = execute(bundle, str(bundle / "sample.npy")).partition(": ")
    assert (name, len(said.split())) == ("sample.npy", 8)
    assert [float(word) for word in said.split()] == pytest.approx(values.tolist(), rel=1e-5)
    assert not (bundle / "labels.json").exists()
    assert "Output: 8 values (embedding)." in (bundle / "README.md").read_text()


SAID = (
    r"kind: \w+ \w+ \(\d+\.\d %\), \w+ \w+ \(\d+\.\d %\); place: (-?[\d.e-]+) (-?[\d.e-]+); "
    r"features: \[8, 3, 3\] from (-?[\d.e-]+) to ([\d.e-]+)\n"
)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_a_bundle_of_two_inputs_and_three_outputs_says_what_each_is_and_answers_with_all(
    scene: tiny.Made, tmp_path: Path, name: str
) -> None:
    gates = (Gate("size", "-50 %"), Gate("accuracy", "1 pp", output="kind"))
    bundle = assemble(scene, tmp_path, name, gates=gates) / "bundle"
    facts = manifest.verify_bundle(bundle)
    assert [(head.name, head.task, head.outputs, head.show) for head in facts.heads] == [
        ("kind", "classification", (0,), "ranked"), ("place", "regression", (2,), "values"),
    ]  # fmt: skip
    assert [(port.name, port.dtype) for port in facts.inputs] == [("picture", "float32"), ("words", "int64")]
    assert [port.name for port in facts.outputs] == ["kind", "features", "place"]
    assert json.loads((bundle / "labels.json").read_text())["kind"][0] == "low dark"
    card = (bundle / "README.md").read_text()
    assert "Output: kind, one score for each of 4 labels (`labels.json`); features, 8×3×3 values: where in the " in card
    assert "; place, 2 values (regression): row and column from -1 to 1." in card
    values = dataset.read(scene["data"], "test").inputs
    said = execute(bundle, str(bundle / "sample.npz"), "--top", "2").removeprefix("sample.npz: ")
    numbers = re.fullmatch(SAID, said)
    assert numbers, said
    target = FORMATS.get(name)()
    (answers,) = target.run(scene.file(name).read_bytes(), [tuple(value[3:4] for value in values)])
    expected = [*answers[2][0], answers[1].min(), answers[1].max()]
    assert [float(word) for word in numbers.groups()] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for key, value in zip(("picture", "words"), values, strict=True):
        np.save(tmp_path / f"{key}.npy", value[3:4])
    np.savez(tmp_path / "named.npz", words=values[1][3:4], picture=values[0][3:4])
    pairs = [f"words={tmp_path / 'words.npy'}", f"picture={tmp_path / 'picture.npy'}"]
    assert execute(bundle, "--top", "2", *pairs) == f"words.npy, picture.npy: {said}"
    assert execute(bundle, "--top", "2", str(tmp_path / "named.npz")) == f"named.npz: {said}"
    told = execute(bundle, pairs[0], expect=1)
    assert "no file is given for input picture (known: picture, words)" in told


class _one(dict[str, Any]):
    """A single array as an archive of one."""

    def __init__(self, path: Path) -> None:
        super().__init__({"0": np.load(path)})

    def __enter__(self) -> _one:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_what_it_cannot_read_is_one_line(released: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "short.png").write_bytes((released / "sample.png").read_bytes()[:70])
    np.save(tmp_path / "shape.npy", np.zeros((1, 1, 3, 3), np.float32))
    np.save(tmp_path / "kind.npy", np.zeros((1, 1, 12, 12), np.complex64))
    np.savez(tmp_path / "two.npz", **{"0": np.zeros(1), "1": np.zeros(1)})  # type: ignore[arg-type]
    files = [*sorted(tmp_path.iterdir()), tmp_path / "absent.png"]
    assert len(files) == 9
    for path in files:
        said = execute(released, str(path), expect=1)
        assert said.startswith(f"run.py: {path}: ")


def test_a_doubt_makes_a_candidate(made: tiny.Made, tmp_path: Path) -> None:
    out = assemble(made, tmp_path, "tflite", lost=45)
    assert manifest.verify(out / "bundle").status == "candidate"
    assert "status: **candidate**" in (out / "bundle" / "README.md").read_text()


def test_a_failed_gate_leaves_the_evidence_and_no_bundle(made: tiny.Made, tmp_path: Path) -> None:
    out = assemble(made, tmp_path, "tflite", lost=500)
    assert {path.name for path in out.iterdir()} == {"evidence"}
    assert (out / "evidence" / "accuracy-tflite" / "evidence.json").is_file()


def test_the_same_inputs_make_the_same_bytes(made: tiny.Made, tmp_path: Path) -> None:
    first = assemble(made, tmp_path / "a", "tflite") / "bundle"
    second = assemble(made, tmp_path / "b", "tflite") / "bundle"
    assert manifest.listing(first) == manifest.listing(second)
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


def test_a_sample_beyond_the_examples_is_the_users_mistake(made: tiny.Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"models/tiny/model.toml: sample: there are 400 held-out examples"):
        assemble(made, tmp_path, "tflite", sample=400)


def test_a_bundle_can_be_moved(released: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(released, tmp_path / "a place" / "ärm")
    manifest.verify(moved)
    assert execute(moved, str(moved / "sample.png")) == execute(released, str(released / "sample.png"))


@pytest.mark.parametrize("name", runtimes.formats())
def test_what_the_runtime_needs_beside_itself_is_asked_for_in_a_version_that_an_index_knows(
    made: tiny.Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("edgebuild.bundle.assemble.metadata.version", lambda _: "2.13.0+cpu")
    bundle = assemble(made, tmp_path, name) / "bundle"
    packages = {"onnx": ["onnxruntime"], "tflite": ["ai-edge-litert"], "pte": ["executorch", "torch"]}[name]
    pinned = (bundle / "requirements.txt").read_text().splitlines()
    assert pinned == ["numpy>=1.24", *(f"{package}==2.13.0" for package in packages)]
