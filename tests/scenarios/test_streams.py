"""A model with a state, from its declaration to a bundle that keeps it: calibrated and judged over streams in order."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn.model_code import ModelCode
from tests import tiny
from tests.scenarios.conftest import Workspace

TARGET = """
description = "A board that this machine stands for"
timing = {looks = [1], iterations = 2, warmup_iterations = 1, warmup = "0.01 s"}
[hardware]
arch = "aarch64"
cpu = "cortex-a72"
[[runtimes]]
format = "tflite"
[[recipe]]
use = "int8"
[[devices]]
transport = "local"
[[gates]]
metric = "agreement"
limit = "0.2"
[[gates]]
metric = "latency"
limit = "none"
[[gates]]
metric = "size"
limit = "none"
[[gates]]
metric = "ram"
limit = "none"
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Workspace:
    """The project after its one build; tests must not change it."""
    root = tmp_path_factory.mktemp("streams") / "project"
    shutil.copytree(tiny.MODELS / "echo", root / "models" / "echo", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "targets").mkdir()
    (root / "targets" / "board.toml").write_text(TARGET)
    torch.save(net(root).state_dict(), root / "models" / "echo" / "echo.pth")
    workspace = Workspace(root, shared_store)
    ran = workspace.run("--target", "board", "--json")
    assert ran.code == 0, ran.err + ran.out
    return workspace


def net(root: Path) -> torch.nn.Module:
    module: torch.nn.Module = ModelCode(root / "models" / "echo", "models/echo").function("build", "builder")()
    return module.eval()


def through(module: torch.nn.Module, sounds: np.ndarray) -> np.ndarray:
    """What the module says over a stream, keeping its own memory."""
    memory, said = torch.zeros(1, 16), []
    with torch.no_grad():
        for sound in torch.from_numpy(sounds):
            answer, memory = module(sound[None], memory)
            said.append(answer.numpy())
    return np.concatenate(said)


def test_it_is_judged_over_streams_by_how_far_it_is_from_the_original(echo: Workspace) -> None:
    manifest = json.loads((echo.root / "dist" / "board" / "echo" / "manifest.json").read_text())
    changes = manifest["evidence"]["scores"]["heads"]["loudness"]
    (change,) = changes["metrics"]["agreement"].values()
    assert change["candidate"] < change["baseline"] == 1
    (verdict,) = (one for one in manifest["verdicts"] if one["metric"] == "agreement")
    assert (verdict["status"], verdict["n"]) == ("pass", 480)
    assert manifest["inputs"][1]["state"] == {"from": "left", "start": 0.0}


def test_ranges_come_from_states_that_occur(echo: Workspace) -> None:
    """The memory grows over forty steps to tenfold of what the first step leaves: a range of the first would cut it."""
    sounds = np.random.default_rng(2).normal(0.5, 1, (480, 4)).astype(np.float32)[:40]
    bundle, module = echo.root / "dist" / "board" / "echo", net(echo.root)
    np.save(echo.root / "stream.npy", sounds)
    command = [sys.executable, "-I", str(bundle / "run.py"), str(echo.root / "stream.npy")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 40
    assert lines[0].startswith("stream.npy[0]: loudness: ")
    said = np.array([re.findall(r"loudness: \[2\] from (\S+) to ([^; ]+)", line)[0] for line in lines], float)
    wanted = through(module, sounds)
    assert np.abs(said - np.sort(wanted, 1)).max() < 0.15 * np.ptp(wanted)
    alone = np.concatenate([through(module, sounds[k : k + 1]) for k in range(40)])
    assert np.abs(alone - wanted).max() > 0.5 * np.ptp(wanted)  # without a memory it would say something else


def test_the_bundles_sample_is_a_step_without_its_state(echo: Workspace) -> None:
    bundle = echo.root / "dist" / "board" / "echo"
    assert np.load(bundle / "sample.npy").shape == (1, 4)
    command = [sys.executable, "-I", str(bundle / "run.py"), str(bundle / "sample.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("sample.npy: loudness")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('from = "left"', 'from = "gone"', "state of input 'memory' comes from 'gone', no output of loudness, left"),
        ('from = "left"', 'from = "loudness"', "comes from 'loudness', which is float32 [2], and the input is float32"),
        ("shape = [4]", 'shape = [2]\nstate = {from = "loudness"}', "every input is a state: nothing goes in"),
    ],
)
def test_a_state_that_is_no_output_come_back_is_refused(
    echo: Workspace, tmp_path: Path, old: str, new: str, told: str
) -> None:
    shutil.copytree(echo.root, tmp_path / "project", ignore=shutil.ignore_patterns("dist"))
    changed = Workspace(tmp_path / "project", echo.store)
    changed.edit("models/echo/model.toml", old, new)
    ran = changed.run("--target", "board")
    assert ran.code == 2
    assert told in ran.err
