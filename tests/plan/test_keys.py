"""What changes the key of a node of a plan, and no other's: for every kind of node, by what it is made of.

A node whose own key changes is remade, and so is what depends on it, by the digest of what it then gives. Mutants of
the planning of keys are in `mutants.py`; each must fail here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

from edgebuild.devices.local import Local
from edgebuild.devices.qemu import Qemu
from edgebuild.engine import keys
from edgebuild.spec import sha256
from edgebuild.spec.registry import STEPS, rewriting
from tests import ROOT
from tests.contracts.test_circles import graph
from tests.plan.project import (
    AVERAGED,
    BUDGETED,
    EMULATED,
    ESTIMATED,
    FROM_A_FILE,
    IN_STREAMS,
    JUDGED_IN_STREAMS,
    LIFTED,
    MODEL,
    ONNX_ONLY,
    SAVED,
    SOUP,
    TAUGHT,
    TIMED,
    Keyed,
    Project,
)

TARGETS = {"timed": TIMED, "emulated": EMULATED, "budgeted": BUDGETED, "estimated": ESTIMATED, "imported": ONNX_ONLY}
FORMATS = ("onnx", "tflite")
GATES = ("accuracy", "f1", "size", "arena", "latency", "cold_start")
RECIPE = tuple(f"steps.techniques.{use}" for use in ("prune_channels", "distill", "int8"))
DEVICE = {"cpu": "a core (emulated)", "emulator": "e" * 64}


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that need not be set up, since nothing runs on it."""
    monkeypatch.setattr(Qemu, "why_unusable", lambda self: None)
    monkeypatch.setattr(Qemu, "fingerprint", lambda self: DEVICE)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project by the name of its target and, where it is not the usual one, the text of its model."""

    def make(target: str = "timed", model: str = MODEL) -> Project:
        return Project.make(tmp_path / "project", TARGETS.get(target, target), model)

    return make


def check(before: Keyed, after: Keyed, expected: Iterable[str]) -> None:
    """Exactly these change of their own, and with them what depends on them and nothing else."""
    assert before.own.keys() == after.own.keys()
    changed = {label for label in before.own if before.own[label] != after.own[label]}
    assert before.kinds(changed) == {*expected}
    assert {label for label in before.key if before.key[label] != after.key[label]} == before.downstream(changed)


def test_every_kind_of_node_is_in_one_of_the_plans(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebuild.plan.weights.need", lambda *_, **__: None)  # TensorFlow is an extra
    planned = set[str]()
    for name, text in TARGETS.items():
        made = Project.make(tmp_path / name, text, FROM_A_FILE if name == "imported" else MODEL)
        planned |= {*made.keyed().step.values()}
    for name, target, model in (
        ("lifted", TIMED, LIFTED),
        ("saved", TIMED, SAVED),
        ("taught", TIMED, TAUGHT),
        ("averaged", TIMED, AVERAGED),
        ("soup", TIMED, SOUP),
        ("streams", JUDGED_IN_STREAMS, IN_STREAMS),
        ("emulated-streams", JUDGED_IN_STREAMS.replace('"local"', '"qemu"'), IN_STREAMS),
    ):
        planned |= {*Project.make(tmp_path / name, target, model).keyed().step.values()}
    rooms = ("steps", "steps/evidence")
    names = {path.stem for room in rooms for path in (ROOT / "edgebuild" / room).glob("[a-z]*.py")}
    names -= {"choose_by"}  # of a search's plans: `test_trying.py`
    assert {"".join(word.capitalize() for word in name.split("_")) for name in names} | {"Assemble"} <= planned


def test_nothing_changed_changes_no_key(project: Callable[..., Project]) -> None:
    made = project()
    assert made.keyed().key == made.keyed().key


def test_what_a_stream_starts_with_changes_what_goes_through_streams(project: Callable[..., Project]) -> None:
    made = project(JUDGED_IN_STREAMS, IN_STREAMS)
    before = made.keyed()
    through = {label for label in before.own if label.startswith("tiny/streams") or "-streams" in label}
    made.edit("model.toml", "start = 0", "start = 1")
    after = made.keyed()
    changed = {label for label in before.own if before.own[label] != after.own[label]}
    assert {before.step[label] for label in through} == {"OriginalOutputs", "Unroll", "Outputs"}
    assert through <= changed


# ---- what people write

TARGET_CHANGES = {
    "timed": {
        ('"A board that', '"The board that'): "Assemble",
        ('cpu = "cortex-a72"', 'cpu = "cortex-a53"'): "Assemble",
        ("channel_multiple = 4", "channel_multiple = 2"): "PruneChannels",
        ("ratio = 0.5", "ratio = 0.25"): "PruneChannels",
        ('use = "distill"', 'use = "distill", alpha = 0.5'): "Distill",
        ('use = "int8"', 'use = "int8", calibration = 32'): "Int8",
        ('format = "onnx"', 'format = "onnx", threads = 2'): (
            "Outputs/onnx Preflight/onnx StageTimes/onnx Latency Processes Proof/onnx Assemble"
        ),
        ('format = "tflite"', 'format = "tflite", layout = "nchw"'): (
            "Convert/tflite StageTimes/tflite Latency Processes Assemble"
        ),
        ('format = "onnx"', 'format = "onnx", providers = ["CUDAExecutionProvider"]'): "Assemble",
        ("iterations = 30", "iterations = 40"): "Latency Processes StageTimes",
        ("iterations = 30", "iterations = 30\nlooks = [4, 9]"): "Latency Processes StageTimes",
        ("iterations = 30", 'iterations = 30\ntimeout = "9 s"'): "",
        ('limit = "1 pp"', 'limit = "1.5 pp"'): "Judge",
        ('limit = "2 pp"', 'limit = "2.5 pp"'): "Judge",
        ('limit = "2 pp"', 'limit = "2 pp"\nconfidence = 0.9'): "Judge Scores",
        ('limit = "64 KiB"', 'limit = "65 KiB"'): "Judge",
        ('limit = "64 KiB"', 'limit = "64 KiB"\nfidelity = "hardware"'): "Judge",
        ('limit = "+3 %"', 'limit = "+4 %"'): "Judge Latency",
        ('limit = "+3 %"', 'limit = "+3 %"\nfidelity = "hardware"'): "Judge",
        ('limit = "1 s"', 'limit = "2 s"'): "Judge Processes",
        ('clock = "1.5 GHz"', 'clock = "1.8 GHz"'): "",
        ('arch = "aarch64"', 'arch = "host"'): "Outputs Latency Processes StageTimes",
    },
    "emulated": {
        ('clock = "1.5 GHz"', 'clock = "1.8 GHz"'): "Predict Proof Count Sampled Preflight",
        ('dram = "2.75 GB/s"', 'dram = "3 GB/s"'): "Predict Proof",
        ('mcpu = "cortex-a72"', 'mcpu = "cortex-a53"'): "Count Predict Proof",
        ("ratio_band = 0.25", "ratio_band = 0.2"): "Predict Proof",
        ("ways = 2}", "ways = 4}"): "Count Sampled Preflight",
        ("examples = 500", "examples = 400"): "board/tiny/onnx/outputs-device board/tiny/tflite/outputs-device",
        ('examples = 500', 'examples = 500, budget = "1 min"'): "Sampled",
        ('limit = "1 pp"', 'limit = "1.5 pp"'): "Judge board/tiny/onnx/outputs-device board/tiny/tflite/outputs-device",
        ('limit = "+3 %"', 'limit = "+4 %"'): "Judge Latency",
    },
    "budgeted": {
        ('clock = "1.5 GHz"', 'clock = "1.8 GHz"'): "Predict Proof Count Sampled Preflight LayerTimes",
        ('dram = "2.75 GB/s"', 'dram = "3 GB/s"'): "Predict Proof LayerTimes",
        ("ways = 2}", "ways = 4}"): "Count Sampled Preflight LayerTimes",
        ("channel_multiple = 4", "channel_multiple = 2"): "PruneChannels LayerTimes Count Sampled Preflight",
        ("time = 0.5", "time = 0.4"): "PruneChannels",
        ('use = "int8"', 'use = "int8", granularity = "tensor"'): "Int8 LayerTimes",
    },
    "estimated": {
        ('peak = "12 GFLOP/s"', 'peak = "13 GFLOP/s"'): "Roofline",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "old", "new", "expected"),
    [(target, *edit, kinds) for target, edits in TARGET_CHANGES.items() for edit, kinds in edits.items()],
)
def test_a_line_of_the_target(project: Callable[..., Project], target: str, old: str, new: str, expected: str) -> None:
    made = project(target)
    before = made.keyed()
    made.edit("board.toml", old, new)
    check(before, made.keyed(), expected.split())


MODEL_CHANGES = {
    ("model.toml", '"A tiny model"', '"One tiny model"'): "Assemble",
    ("model.toml", '"top left"', '"upper left"'): "Accuracy Scores Assemble",
    ("model.toml", "sample = 1", "sample = 2"): "Assemble",
    ("model.toml", "width = 12", "width = 12\ninvert = true"): "Assemble LoadData",
    ("model.toml", "epochs = 4", "epochs = 5"): "Train",
    ("model.toml", 'name = "image"', 'name = "picture"'): "LoadData Train Untrained ImportWeights Assemble",
    ("model.toml", "epochs = 3", "epochs = 2"): "Distill",
    ("model.toml", '["numpy"]', '["numpy", "pydantic"]'): "LoadData Train Untrained ImportWeights",
    ("model.toml", "sample = 1", 'sample = 1\n[budgets.board]\nsize = "60 KiB"'): "Judge",
    ("model.py", "import torch", "import torch  # as it is"): "LoadData Train Untrained ImportWeights",
    ("words.txt", "some", "other"): "LoadData",
    ("teacher.safetensors", "a teacher's", "another's"): "ImportWeights",
}


@pytest.mark.parametrize(("name", "old", "new", "expected"), [(*edit, kinds) for edit, kinds in MODEL_CHANGES.items()])
def test_a_line_of_the_model(project: Callable[..., Project], name: str, old: str, new: str, expected: str) -> None:
    made = project()
    before = made.keyed()
    made.edit(name, old, new)
    check(before, made.keyed(), expected.split())


GIVEN_CHANGES = {
    ("board.toml", 'use = "int8"', 'use = "int8", calibration = 32'): "Int8",
    ("net.onnx", "an operator", "another"): "ImportFile OriginalOutputs",
    ("model.py", "import torch", "import torch  # as it is"): "LoadData",
    ("model.toml", 'name = "image"', 'name = "picture"'): "LoadData ImportFile Assemble",
}


@pytest.mark.parametrize(("name", "old", "new", "expected"), [(*edit, kinds) for edit, kinds in GIVEN_CHANGES.items()])
def test_a_line_of_an_imported_model(
    project: Callable[..., Project], name: str, old: str, new: str, expected: str
) -> None:
    made = project("imported", FROM_A_FILE)
    before = made.keyed()
    made.edit(name, old, new)
    check(before, made.keyed(), expected.split())


# ---- versions of tools, and what a device is

TOOLS = {
    "jinja2": "Assemble",
    "litert-torch": "Convert/tflite Int8/tflite Arena/tflite",
    "onnxscript": "Convert/onnx Int8/onnx Arena/onnx",
    "onnxruntime": "Convert/onnx Int8/onnx Arena/onnx Outputs/onnx Preflight/onnx StageTimes/onnx Latency Processes"
    " Assemble",
    "torch": "Train Untrained ImportWeights PruneChannels Distill TorchOutputs Convert Footprint",
    "safetensors": "Train Untrained ImportWeights",
}


EMULATED_TOOLS = {
    "onnxruntime": TOOLS["onnxruntime"].replace("StageTimes/onnx", "Count/onnx Sampled/onnx Shared/onnx"),
    "litert-torch": TOOLS["litert-torch"] + " Shared/tflite",
}


@pytest.mark.parametrize(
    ("target", "tool", "expected"),
    [("timed", *one) for one in TOOLS.items()] + [("emulated", *one) for one in EMULATED_TOOLS.items()],
)
def test_the_version_of_a_tool(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, target: str, tool: str, expected: str
) -> None:
    made, installed = project(target), keys.version
    before = made.keyed()
    monkeypatch.setattr(keys, "version", lambda name: "another" if name == tool else installed(name))
    check(before, made.keyed(), expected.split())


def test_the_version_of_what_the_models_code_needs(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, installed = project(model=MODEL.replace('["numpy"]', '["numpy", "pydantic"]')), keys.version
    before = made.keyed()
    monkeypatch.setattr(keys, "version", lambda name: "another" if name == "pydantic" else installed(name))
    check(before, made.keyed(), ["LoadData", "Train", "Untrained", "ImportWeights"])


@pytest.mark.parametrize(
    ("target", "device", "fact", "expected"),
    [
        ("timed", Local, "cpu", "Outputs Preflight Latency Processes StageTimes Assemble"),
        ("timed", Local, "kernel", "Latency Processes StageTimes Assemble"),
        ("emulated", Qemu, "cpu", "Sampled Count Preflight Assemble"),
        ("emulated", Qemu, "emulator", "Sampled Count Preflight Assemble"),
        ("budgeted", Qemu, "emulator", "Sampled Count Preflight Assemble LayerTimes"),
        ("emulated", Local, "cpu", "Outputs Latency Processes Assemble"),
        ("emulated", Local, "governor", "Latency Processes Assemble"),
    ],
)
def test_what_a_device_is(
    project: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    device: type[Local] | type[Qemu],
    fact: str,
    expected: str,
) -> None:
    made = project(target)
    before, facts = made.keyed(), device().fingerprint()
    assert fact in facts
    monkeypatch.setattr(device, "fingerprint", lambda self: {**facts, fact: "another"})
    check(before, made.keyed(), expected.split())


def test_what_travels_in_a_bundle(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = project(), sha256.of_file
    before = made.keyed()
    monkeypatch.setattr(sha256, "of_file", lambda path: "0" * 64 if path.name == "run.py" else real(path))
    check(before, made.keyed(), ["Assemble"])


# ---- code

# Beside its own, whose code a step's nodes count: that of the formats of its files, of the device, of gates by name,
# and of the model's tasks, where labels or answers are looked at.
FILES, TASK = ("formats",), ("tasks.classification",)
LEARNT = dict.fromkeys(("LoadData", "Train", "Distill", "Parity", "Accuracy", "Agreement", "Proof"), TASK)
COUNTS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "timed": {
        **LEARNT,
        "Convert": (*FILES, "rewrites"),
        "Arena": FILES,
        **dict.fromkeys(("Int8", "Assemble"), (*FILES, *TASK)),
        **dict.fromkeys(("Outputs", "Preflight", "StageTimes"), (*FILES, "devices.local")),
        "Latency": (*FILES, "devices.local", "gates.latency"),
        "Processes": (*FILES, "devices.local", "gates.cold_start"),
        "Scores": ("gates.f1", *TASK),
        "Judge": (*(f"gates.{gate}" for gate in GATES), *RECIPE),
    },
    "emulated": {
        **LEARNT,
        "Convert": (*FILES, "rewrites"),
        **dict.fromkeys(("Arena", "Shared"), FILES),
        **dict.fromkeys(("Int8", "Assemble"), (*FILES, *TASK)),
        "Outputs": (*FILES, "devices.local"),
        **dict.fromkeys(("Preflight", "Count"), (*FILES, "devices.qemu")),
        "Sampled": (*FILES, "devices.qemu", "gates.accuracy", *TASK),
        "Latency": (*FILES, "devices.local", "gates.latency"),
        "Processes": (*FILES, "devices.local", "gates.cold_start"),
        "Judge": (*(f"gates.{gate}" for gate in GATES if gate != "f1"), *RECIPE),
    },
    "imported": {
        **LEARNT,
        "ImportFile": ("sources.onnx", "formats.onnx"),
        "OriginalOutputs": ("sources.onnx", "formats.onnx"),
        **dict.fromkeys(("Arena", "Footprint"), FILES),
        **dict.fromkeys(("Int8", "Assemble"), (*FILES, *TASK)),
        **dict.fromkeys(("Outputs", "StageTimes"), (*FILES, "devices.local")),
        "Latency": (*FILES, "devices.local", "gates.latency"),
        "Processes": (*FILES, "devices.local", "gates.cold_start"),
        "Scores": ("gates.f1", *TASK),
        "Judge": (*(f"gates.{gate}" for gate in GATES), "steps.techniques.int8"),
    },
}  # fmt: skip
COUNTS |= {"budgeted": {**COUNTS["emulated"], "PruneChannels": TASK, "LayerTimes": (*FILES, "devices.qemu")}}


@cache
def imports() -> dict[str, set[str]]:
    """What each module of ours imports of the others, read apart from how keys do."""
    return graph(ROOT / "edgebuild")


@cache
def reached(module: str) -> frozenset[str]:
    """What a module of ours imports, and what that does, itself included."""
    modules, found, open_ = imports(), set[str](), [module]
    while open_:
        if (name := open_.pop()) not in found:
            found.add(name)
            open_ += modules[name]
    return frozenset(found)


def counted(keyed: Keyed, target: str, label: str) -> frozenset[str]:
    """The modules of ours whose code the node of a label must count."""
    own = keyed.own[label]["step"].rpartition(".")[0]
    modules = {own}
    for item in COUNTS[target].get(keyed.step[label], ()):
        if item.startswith(("gates.", "tasks.")) and label.endswith(("-device-float", "-device-baseline")):
            continue  # a look at a few answers, by which no gate is decided
        chosen = formats(label) if target != "imported" else ("onnx",)
        named = [f"edgebuild.formats.{name}" for name in chosen]
        rewrites = {module for name in chosen for module in rewriting(name)}
        modules |= {"formats": {*named}, "rewrites": rewrites}.get(item, {f"edgebuild.{item}"})
    return frozenset().union(*map(reached, modules))


def formats(label: str) -> tuple[str, ...]:
    """The formats of the files that a node of this label looks at: the one in the label, or all."""
    return tuple(name for name in FORMATS if f"/{name}/" in label) or FORMATS


def modules() -> list[str]:
    """Every module of ours that is a plug-in or a step."""
    rooms = ("steps", "steps/techniques", "steps/evidence", "formats", "devices", "gates", "tasks", "bundle", "sources")
    rooms += ("nn/legalize/rewrites",)
    files = [path for room in rooms for path in sorted((ROOT / "edgebuild" / room).glob("[a-z]*.py"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]


@pytest.mark.parametrize("target", COUNTS)
def test_code_counts_for_what_runs_it_and_for_nothing_else(project: Callable[..., Project], target: str) -> None:
    made = project(target, FROM_A_FILE if target == "imported" else MODEL)
    before = made.keyed()
    counts = {label: counted(before, target, label) for label in before.own}
    for module, after in zip(modules(), made.changed(modules()), strict=True):
        changed = {label for label in before.own if before.own[label] != after.own[label]}
        assert changed == {label for label, named in counts.items() if module in named}, module
        assert {label for label in before.key if before.key[label] != after.key[label]} == before.downstream(changed)


# ---- a model that comes as a file

IMPORTED = {"ImportFile", "OriginalOutputs"}
FILE_CHANGES = {
    ("net.onnx", "an operator", "another"): IMPORTED,
    ("w.bin", "some weights", "others"): IMPORTED,
    ("model.toml", 'external = ["*.bin"]', 'external = ["w.bin"]'): IMPORTED,
    ("model.toml", 'name = "image"', 'name = "picture"'): {"ImportFile", "LoadData", "Assemble"},
    ("model.py", "import torch", "import torch  # as it is"): {"LoadData"},
}


@pytest.mark.parametrize(("name", "old", "new", "expected"), [(*edit, kinds) for edit, kinds in FILE_CHANGES.items()])
def test_a_line_of_a_model_that_comes_as_a_file(
    project: Callable[..., Project], name: str, old: str, new: str, expected: set[str]
) -> None:
    made = project(ONNX_ONLY, FROM_A_FILE)
    before = made.keyed()
    made.edit(name, old, new)
    check(before, made.keyed(), expected)


def test_a_sources_code_counts_for_what_it_reads_and_its_formats_where_that_counts_what_is_in_it(
    project: Callable[..., Project],
) -> None:
    made = project(ONNX_ONLY, FROM_A_FILE)
    before = made.keyed()
    of_source, of_import, of_format = made.changed(
        ["edgebuild.sources.onnx", "edgebuild.formats._onnx_adopt", "edgebuild.formats.onnx"]
    )
    for after in (of_source, of_import):
        check(before, after, IMPORTED)
    changed = {label for label in before.own if before.own[label] != of_format.own[label]}
    assert {*IMPORTED, "Footprint", "Int8"} <= before.kinds(changed)
    assert not {"LoadData", "Proof", "Parity"} & before.kinds(changed)


@pytest.mark.parametrize(("tool", "expected"), [("onnx", IMPORTED - {"OriginalOutputs"}), ("onnxruntime", IMPORTED)])
def test_the_version_of_what_reads_a_file(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, tool: str, expected: set[str]
) -> None:
    made, installed = project(ONNX_ONLY, FROM_A_FILE), keys.version
    before = made.keyed()
    monkeypatch.setattr(keys, "version", lambda name: "another" if name == tool else installed(name))
    after = made.keyed()
    changed = before.kinds({label for label in before.own if before.own[label] != after.own[label]})
    assert changed & IMPORTED == expected
    assert "Footprint" in changed


# What the techniques are that the plans above have none of: a recipe with each alone.
FILE_STEPS = [name for name, kind in STEPS.usable().items() if "torch" not in kind.consumes]


# And those that cannot stand alone, with what they stand behind.
BEHIND = {"slice": "elastic"}


@pytest.mark.parametrize("use", STEPS.names())
def test_every_technique_counts_its_own_code_and_that_of_the_format_whose_file_it_changes(
    project: Callable[..., Project], use: str
) -> None:
    before_it = f'{{use = "{BEHIND[use]}"}}, ' if use in BEHIND else ""
    recipe = f'recipe = [{before_it}{{use = "{use}"}}]'
    made = project(TIMED.replace(next(line for line in TIMED.splitlines() if line.startswith("recipe")), recipe))
    before = made.keyed()
    named = STEPS.get(use).__name__
    modules = [STEPS.module(use), *(f"edgebuild.formats.{name}" for name in FORMATS)]
    after, *of_formats = made.changed(modules)
    changed = {label for label in before.own if before.own[label] != after.own[label]}
    assert {before.step[label] for label in changed} >= {named, "Judge"}
    for name, after in zip(FORMATS, of_formats, strict=True):
        own = {label for label in before.own if before.step[label] == named and before.own[label] != after.own[label]}
        every = {label for label in before.own if before.step[label] == named}
        assert own == ({label for label in every if f"/{name}/" in label} if use in FILE_STEPS else set())
