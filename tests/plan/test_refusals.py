"""A plan that cannot be carried out is refused at once, in one line that names file, key and reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebuild.engine import keys
from tests import tiny

Refuse = Callable[..., str]

TARGET = {
    "unknown step": (
        {"recipe": '[{use = "int9"}]'},
        "recipe[0].use: unknown step 'int9' (did you mean 'int8'? known: ",
    ),
    "unknown option": (
        {"recipe": '[{use = "int8"}, {use = "distill", apha = 0.5}]'},
        "recipe[1]: unknown key 'apha' (did you mean 'alpha'? known: alpha, averaging, batch_size, clip, epochs",
    ),
    "text for a number": (
        {"recipe": '[{use = "prune_channels", ratio = "0.5"}]'},
        'recipe[0].ratio: input should be a valid number, got "0.5"',
    ),
    "a whole ratio": (
        {"recipe": '[{use = "prune_channels", ratio = 1}]'},
        "recipe[0].ratio: input should be less than 1, got 1",
    ),
    "float for a count": (
        {"recipe": '[{use = "int8", calibration = 2.0}]'},
        "recipe[0].calibration: input should be a valid integer, got 2.0",
    ),
    "a slice of nothing": (
        {"recipe": '[{use = "elastic"}, {use = "distill"}, {use = "slice"}]'},
        "recipe[2]: 'slice' takes one of the networks that 'elastic' trains: put that before it, and nothing between",
    ),
    "a slice that does not exist": (
        {"recipe": '[{use = "elastic"}, {use = "slice", width = 0.3}]'},
        "recipe[1]: 'slice' names width 0.3, and 'elastic' trains 0.25, 0.5, 0.75, 1",
    ),
    "a slice without blocks that are in all": (
        {"recipe": '[{use = "elastic", blocks = 1}, {use = "slice", blocks = 2}]'},
        "recipe[1]: 'slice' lacks 2 blocks, and with 'elastic' slices lack 1",
    ),
    "unknown metric": (
        {"gates": '[{metric = "acuracy", limit = "1 pp"}]'},
        "gates[0].metric: unknown metric 'acuracy' (did you mean 'accuracy'? known: accuracy",
    ),
    "limit without unit": (
        {"gates": '[{metric = "size", limit = "1 B"}, {metric = "accuracy", limit = "1"}]'},
        "gates[1].limit: '1' has no unit; use one of pp, %",
    ),
    "limit without sense": (
        {"gates": '[{metric = "latency", limit = "-100 %"}]'},
        "gates[0].limit: a time cannot fall by 100 % or more, got '-100 %'",
    ),
    "percentile with too few inferences": (
        {"gates": '[{metric = "latency", limit = "p99.99 40 ms"}]'},
        "gates[0].limit: 'p99.99 40 ms' needs 66381 inferences, and [timing] allows 8000 in 40 processes "
        "(raise iterations or looks in [timing])",
    ),
    "limit that another makes needless": (
        {"gates": '[{metric = "latency", limit = "p95 40 ms"}, {metric = "latency", limit = "50 ms"}]'},
        "gates[1].limit: '50 ms' says nothing beside 'p95 40 ms' on the same metric, which is at least as strict "
        "(keep one of the two)",
    ),
    "a wider margin beside a narrower one": (
        {"gates": '[{metric = "accuracy", limit = "1 pp"}, {metric = "accuracy", limit = "2 pp"}]'},
        "gates[1].limit: '2 pp' says nothing beside '1 pp'",
    ),
    "more memory beside less": (
        {"gates": '[{metric = "arena", limit = "2 MiB"}, {metric = "arena", limit = "1 MiB"}]'},
        "gates[0].limit: '2 MiB' says nothing beside '1 MiB'",
    ),
    "the same limit twice": (
        {"gates": '[{metric = "size", limit = "9 %"}, {metric = "size", limit = "9 %"}]'},
        "gates[0].limit: '9 %' says nothing beside '9 %'",
    ),
    "unknown format": (
        {"runtimes": '[{format = "onnx"}, {format = "tflight"}]'},
        "runtimes[1].format: unknown format 'tflight' (did you mean 'tflite'? known: onnx, ",
    ),
    "unknown transport": (
        {"devices": '[{transport = "lokal"}]'},
        "devices[0].transport: unknown device transport 'lokal' (did you mean 'local'? known: ",
    ),
    "unknown option of a device": (
        {"devices": '[{transport = "local", speed = 3}]'},
        "devices[0]: unknown key 'speed' (known: none)",
    ),
    "no device for time": (
        {"devices": '[{transport = "local", measures = ["outputs"]}]'},
        "devices: no device can measure latency: none is declared for it",
    ),
    "torch step on a file": (
        {"recipe": '[{use = "int8"}, {use = "prune_channels"}]'},
        "recipe[1].use: 'prune_channels' works on torch, but 'int8' before it makes onnx "
        "(move 'prune_channels' before 'int8')",
    ),
    "int8 twice": (
        {"recipe": '[{use = "int8"}, {use = "int8"}]'},
        "recipe[1].use: 'int8' cannot follow 'int8': what a file computes in changes once (keep one of the two)",
    ),
    "a step after encode": (
        {"recipe": '[{use = "encode"}, {use = "int8"}]'},
        "recipe[1].use: 'int8' cannot follow 'encode', whose result it would throw away (put 'encode' last)",
    ),
    "training after learnt ranges": (
        {"recipe": '[{use = "qat"}, {use = "distill"}, {use = "int8"}]'},
        "recipe[1].use: 'distill' cannot follow 'qat', whose result it would throw away (put 'qat' last)",
    ),
    "integer borders in ONNX": (
        {"recipe": '[{use = "int8", io = "int8"}]'},
        "recipe[0]: 'int8' cannot be had on onnx with these options: a file has nowhere to say the scale of its "
        'inputs (instead: io = "float32")',
    ),
    "int4 by channel in ONNX at run time": (
        {"recipe": '[{use = "dynamic_int8", weights = "int4"}]'},
        "recipe[0]: 'dynamic_int8' cannot be had on onnx with these options: by channel there are kernels for int8 "
        'alone (instead: granularity = "block")',
    ),
    "int8 in blocks in TFLite": (
        {"recipe": '[{use = "dynamic_int8", granularity = "block"}]'},
        "recipe[0]: 'dynamic_int8' cannot be had on tflite with these options: blocks have kernels for int4 alone "
        '(instead: granularity = "channel")',
    ),
    "int4 widened in TFLite": (
        {"recipe": '[{use = "weights_only", weights = "int4"}]'},
        "recipe[0]: 'weights_only' cannot be had on tflite with these options: int4 would be widened at every "
        "inference, 2 to 3 times slower (instead: int8)",
    ),
    "int8 after float16": (
        {"recipe": '[{use = "float16"}, {use = "int8"}]'},
        "recipe[1].use: 'int8' cannot follow 'float16': what a file computes in changes once (keep one of the two)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TARGET)
def test_a_target_that_cannot_be_planned_is_refused(refusal: Refuse, kind: str) -> None:
    lines, told = TARGET[kind]
    assert refusal(**lines).startswith(f"targets/board.toml: {told}")


MODEL = {
    "budget for no target": (
        '\n[budgets.rpi5]\nsize = "1 MiB"',
        "model.toml: budgets: unknown target 'rpi5' (did you mean 'rpi4'? known: board, rpi4)",
    ),
    "budget for no metric": (
        '\n[budgets.board]\nsise = "1 MiB"',
        "model.toml: budgets.board: unknown metric 'sise' (did you mean 'size'?",
    ),
    "budget without unit": (
        '\n[budgets.board]\nsize = "100"',
        "model.toml: budgets.board.size: '100' has no unit; use one of B, kB",
    ),
    "options of no step": ("\n[steps.int9]\nx = 1", "model.toml: steps: unknown step 'int9' (did you mean 'int8'?"),
    "unknown option of a step": (
        "\n[steps.int8]\ncalibratoin = 1",
        "model.toml: steps.int8: unknown key 'calibratoin' (did you mean 'calibration'?",
    ),
    "wrong option of a step": (
        "\n[steps.distill]\nepochs = true",
        "model.toml: steps.distill.epochs: input should be a valid integer, got true",
    ),
    "no weights": ('weights = "w.bin"', "model.toml: weights: no such file: 'w.bin'"),
    "nothing to read": (
        'reads = ["model.py", "../no.npz"]',
        "model.toml: reads[1]: no such file: '../no.npz' (paths s",
    ),
    "no teacher's weights": (
        '\n[teacher]\nbuilder = "build"\nweights = "t.bin"',
        "model.toml: teacher.weights: no such file: 't.bin'",
    ),
}


def test_a_budget_on_a_metric_with_two_gates_is_refused(refusal: Refuse) -> None:
    gates = '[{metric = "latency", limit = "-50 %"}, {metric = "latency", limit = "40 ms"}]'
    line = refusal(gates=gates, model='\n[budgets.board]\nlatency = "10 ms"')
    told = "targets/board.toml has 2 gates on 'latency' (-50 %, 40 ms): which one is replaced?"
    assert line.startswith(f"models/tiny/model.toml: budgets.board.latency: {told}")


@pytest.mark.parametrize("kind", MODEL)
def test_a_model_that_cannot_be_planned_is_refused(refusal: Refuse, kind: str) -> None:
    text, told = MODEL[kind]
    assert refusal(model=text).startswith(f"models/tiny/{told}")


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these distributions look as if they were not installed."""
    installed = keys.version
    monkeypatch.setattr(keys, "version", lambda name: "absent" if name in names else installed(name))


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("torch", "models/tiny/model.toml: a build needs torch, which is not installed "
                  "(pip install 'edgebuild[torch]')"),
        ("numpy", "models/tiny/model.toml: tools: the model's code needs numpy, which is not installed "
                  "(pip install 'numpy')"),
        ("onnxruntime", "targets/board.toml: runtimes[0].format: onnx needs onnxruntime, which is not installed "
                        "(pip install 'edgebuild[onnx]')"),
        ("ai-edge-quantizer", "targets/board.toml: runtimes[1].format: tflite needs ai-edge-quantizer, which is not "
                              "installed (pip install 'edgebuild[tflite]')"),
    ],
)  # fmt: skip
def test_a_missing_package_is_named_with_what_brings_it(
    refusal: Refuse, monkeypatch: pytest.MonkeyPatch, missing: str, told: str
) -> None:
    absent(monkeypatch, missing)
    assert refusal().startswith(told)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nunpy", "did you mean 'numpy'? else pip install 'nunpy'"),
        ("PIL", "did you mean 'pillow', which has the module PIL? else pip install 'PIL'"),
        ("no-such-thing", "pip install 'no-such-thing'"),
    ],
)
def test_a_tool_that_is_no_distribution_here_is_told_with_the_one_that_is_near(
    refusal: Refuse, name: str, hint: str
) -> None:
    """Whoever installs a misspelt name may get anything."""
    text = (tiny.MODELS / "tiny" / "model.toml").read_text().replace('tools = ["numpy"]', f'tools = ["{name}"]')
    line = refusal(files={"model.toml": text})
    assert line.endswith(f"the model's code needs {name}, which is not installed ({hint})")


def test_several_missing_packages_are_named_together(refusal: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "onnx", "onnxscript")
    assert "onnx needs onnx, onnxscript, which are not installed" in refusal()


def test_a_metric_that_the_models_answers_do_not_have_is_refused_with_those_that_fit(refusal: Refuse) -> None:
    declared = (tiny.MODELS / "centre" / "model.toml").read_text()
    line = refusal(files={"model.toml": declared})
    reason, _, fits = line.partition(" (what fits: ")
    told = "targets/board.toml: gates[0].metric: 'accuracy' does not fit model 'tiny', whose task is regression"
    assert reason == told
    assert {"latency", "parity", "size"} <= set(fits.rstrip(")").split(", "))
    assert "accuracy" not in fits


def test_a_layout_that_the_format_does_not_have(refusal: Refuse) -> None:
    said = refusal(runtimes='[{format = "tflite", layout = "nhwc"}, {format = "onnx", layout = "nhwc"}]')
    assert said.startswith("targets/board.toml: runtimes[1].layout: onnx files have no inputs and outputs in 'nhwc'")
    assert "leave it out, or take nchw" in said


def test_a_format_of_an_extra_names_it(refusal: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "executorch")
    assert refusal(runtimes='[{format = "pte"}]') == (
        "targets/board.toml: runtimes[0].format: pte needs executorch, which is not installed "
        "(pip install 'edgebuild[pte]')"
    )


@pytest.mark.parametrize("use", ["int8", "dynamic_int8", "weights_only", "float16", "mixed_precision"])
def test_a_format_that_quantizes_nothing_says_why(refusal: Refuse, monkeypatch: pytest.MonkeyPatch, use: str) -> None:
    monkeypatch.setattr(keys, "version", lambda name: "1")
    assert refusal(runtimes='[{format = "pte"}]', recipe=f'[{{use = "{use}"}}]') == (
        f"targets/board.toml: recipe[0]: {use!r} cannot be had on pte with these options: its weights are packed for "
        "the kernels when it is exported, and nothing quantizes it afterwards "
        "(instead: prune_channels and distill, or another format)"
    )
