"""What a user gets wrong: one line with file, key and reason, the right exit code, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.conftest import Ran, Workspace

TARGET, MODEL, CODE = "targets/board.toml", "models/tiny/model.toml", "models/tiny/model.py"


def refused(ran: Ran, code: int, *words: str) -> None:
    """The command ended with `code` and one line on standard error that has all `words`."""
    lines = [line for line in ran.err.splitlines() if not line.startswith(("run ", "done "))]
    assert ran.code == code, ran.err
    assert len(lines) == 1, ran.err
    assert "Traceback" not in ran.err
    assert [word for word in words if word not in lines[0]] == [], lines[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (TARGET, 'use = "distill"', 'use = "distil"', ["recipe[1]", "unknown step", "did you mean 'distill'"]),
        (TARGET, "ratio = 0.5", "rato = 0.5", ["recipe[0]", "unknown key 'rato'", "ratio"]),
        (TARGET, "ratio = 0.5", "ratio = 1.5", ["recipe[0].ratio", "less than 1"]),
        (TARGET, "ratio = 0.5", 'ratio = "half"', ["recipe[0].ratio", "number"]),
        (TARGET, 'limit = "3 pp"', 'limit = "3"', ["gates[0].limit", "no unit"]),
        (TARGET, 'limit = "3 pp"', 'limit = "3 parsecs"', ["gates[0].limit", "unknown unit 'parsecs'"]),
        (TARGET, 'metric = "size"', 'metric = "weight"', ["gates[1].metric", "unknown metric"]),
        (TARGET, 'transport = "local"', 'transport = "pigeon"', ["devices[0].transport", "unknown device transport"]),
        (TARGET, 'format = "onnx"', 'format = "coreml"', ["runtimes[1].format", "unknown format"]),
        (TARGET, 'arch = "aarch64"', "arch = 64", ["hardware.arch", "string"]),
        (TARGET, "[hardware]", "[hardware", ["not valid TOML"]),
        (MODEL, 'builder = "build"', "", ["builder", "is missing"]),
        (MODEL, "shape = [1, 8, 8]", "shape = [1, 8, 0]", ["inputs[0].shape[2]"]),
        (MODEL, "[steps.distill]", "[steps.destill]", ["steps", "unknown step 'destill'"]),
        (MODEL, "[steps.distill]", '[budgets.boat]\nsize = "1 KiB"\n[steps.distill]', ["budgets", "target 'boat'"]),
        (MODEL, 'data = "load"', 'data = "load"\nweights = "none.safetensors"', ["weights", "no such file"]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file(workspace: Workspace, file: str, old: str, new: str, words: list[str]) -> None:
    workspace.edit(file, old, new)
    refused(workspace.run("--target", "board"), 2, file, *words)
    assert not (workspace.root / "dist").exists()


def test_a_model_that_wants_to_be_named_is(workspace: Workspace) -> None:
    workspace.edit(MODEL, 'builder = "build"', 'builder = "build"\nby_name = true')
    refused(workspace.run("--target", "board"), 2, "--model", "built by name alone", "tiny")
    assert workspace.run("plan", "--target", "board", "--model", "tiny").code == 0


def test_a_mistake_in_a_model_that_is_built_by_name_alone_stops_no_other(workspace: Workspace) -> None:
    other = workspace.root / "models" / "other"
    other.mkdir()
    (other / "model.toml").write_text("by_name = true\ndescription = 3\n")
    assert workspace.run("plan", "--target", "board").code == 0
    refused(workspace.run("plan", "--target", "board", "--model", "other"), 2, "models/other/model.toml", "description")


def test_an_impossible_order_is_refused_before_anything_runs(workspace: Workspace) -> None:
    workspace.edit(TARGET, 'use = "int8"', 'use = "last"')
    workspace.edit(TARGET, 'use = "prune_channels"\nratio = 0.5', 'use = "int8"')
    workspace.edit(TARGET, 'use = "last"', 'use = "prune_channels"')
    refused(workspace.run("--target", "board"), 2, "recipe[1]", "works on torch", "move 'distill' before 'int8'")


def test_unknown_target_and_model(workspace: Workspace) -> None:
    refused(workspace.run("--target", "bord"), 2, "unknown target 'bord'", "did you mean 'board'")
    refused(workspace.run("--target", "board", "--model", "tinny"), 2, "unknown model", "did you mean 'tiny'")
    refused(workspace.run("--target"), 2, "requires an argument")
    refused(workspace.run("--target", "board", "--step-memory", "8"), 2, "--step-memory", "no unit")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"train": examples(512, 0)', '"train": examples(0, 0)', ["load()", "no examples"]),
        ("x.astype(np.float32), y", "x.astype(np.float32) * np.nan, y", ["load()", "NaN"]),
        ("x.astype(np.float32), y", "x.astype(np.float32), y + 1", ["load()", "labels from 1 to 4", "4 classes"]),
        ("x.astype(np.float32), y", "x.astype(np.float32)[..., :7], y", ["load()", "shape"]),
        ("    return Net(64)", '    raise RuntimeError("no luck")', ["build()", "RuntimeError: no luck", "line 23"]),
        ("    return Net(64)", "    return None", ["build()", "not a torch.nn.Module"]),
        ("nn.Conv2d(1, width", "nn.Conv2d(3, width", ["inputs", "does not accept the declared inputs"]),
        ("def load()", "def lode()", ["data", "no function 'load'"]),
        ("import torch\n", "import torch_absent\n", ["ModuleNotFoundError"]),
    ],
)
def test_a_mistake_in_the_models_code(workspace: Workspace, old: str, new: str, words: list[str]) -> None:
    workspace.edit(CODE, old, new)
    refused(workspace.run("--target", "board"), 2, "models/tiny/model", *words)
    assert not workspace.bundle.exists()


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("raise MemoryError", 4, ["tiny/untrained", "ran out of memory"]),
        ('raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")', 4, ["ran out of memory"]),
        ("import sys; sys.exit(1)", 2, ["build()", "SystemExit: 1", "line 23"]),
        ("open('/no/such/file')", 2, ["build()", "FileNotFoundError", "line 23"]),
    ],
)
def test_only_what_is_the_users_mistake_is_called_so(
    workspace: Workspace, code: str, exit_code: int, words: list[str]
) -> None:
    workspace.edit(CODE, "    return Net(64)", f"    {code}")
    ran = workspace.run("--target", "board")
    refused(ran, exit_code, *words)
    log = Path(ran.err.rpartition("log: ")[2].strip().rstrip(")"))
    assert "in build" in log.read_text()


@pytest.mark.parametrize(
    ("crash", "cause"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os._exit(9)", "code 9"),
    ],
)
def test_a_crashed_worker_names_step_and_cause(workspace: Workspace, crash: str, cause: str) -> None:
    workspace.edit(CODE, "    return Net(64)", f"    {crash}")
    refused(workspace.run("--target", "board"), 4, "tiny/untrained", "crashed", cause)


def test_an_output_that_cannot_be_written(workspace: Workspace) -> None:
    (workspace.root / "dist").write_text("in the way")
    refused(workspace.run("--target", "board"), 2, "dist", "cannot be written")


def test_a_missing_runtime_names_what_to_install(workspace: Workspace) -> None:
    """An empty site without the packages: the plan refuses before anything else is looked at."""
    hide = workspace.root / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.distribution\n"
        "def distribution(name):\n"
        "    if name == 'ai-edge-litert': raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.distribution = distribution\n"
    )
    refused(workspace.run("--target", "board", PYTHONPATH=str(hide)), 2, TARGET, "ai-edge-litert", "pip install")
