"""What tests of devices share: the tiny models of the zoo, a job, places to run it, other programs as the runner."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.devices.emulation import programs
from edgebuild.travels import runner
from tests.devices.adbd import Adbd
from tests.devices.places import WHERE, Place, make
from tests.devices.sshd import Sshd
from tests.zoo import lite, start, zoo

__all__ = ["lite", "start", "zoo"]

# Parts of the contract that the emulator does not share.
NOT_EMULATED = {
    "test_it_stands_for_any_target_and_counts_nothing": "the emulator counts, for one core, some of the examples",
    "test_time_comes_in_nanoseconds": "emulated time says nothing",
    "test_fingerprint_is_stable_text": "its fingerprint is the digest of all that emulates: tests/plan",
    "test_time_out_kills_the_whole_group": "its limit is CPU time: tests/devices/emulation/test_emulator.py",
    "test_a_client_that_is_stopped_leaves_nothing_there": "tests/devices/emulation/test_emulator.py kills its parent",
    "test_hostile_names_are_only_names": "200 models take minutes; the emulator's arguments are tested beside it",
}
X = np.arange(8, dtype=np.float32).reshape(2, 4) / 8


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Sshd]]:
    """A server that is started when it is first asked for."""
    servers: list[Sshd] = []

    def get() -> Sshd:
        if not servers:
            servers.append(Sshd(tmp_path_factory.mktemp("sshd")).start())
        return servers[0]

    yield get
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def adbd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adbd | None]:
    """A phone, where the tests run over adb."""
    if "adb" not in WHERE:
        yield None
        return
    folder = tmp_path_factory.mktemp("adbd")
    getprop = folder / "getprop"
    getprop.write_text('#!/bin/sh\n[ "$1" = ro.product.model ] && echo "Pixel of a test"\ntrue\n')
    getprop.chmod(0o755)
    running = Adbd(folder).connect()
    yield running
    running.stop()


@pytest.fixture(params=WHERE)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, sshd: Callable[[], Sshd], adbd: Adbd | None
) -> Iterator[Place]:
    """Each kind of device in turn; whatever a test does there, nothing is left."""
    if request.param == "qemu" and (reason := NOT_EMULATED.get(request.node.originalname)):
        pytest.skip(reason)
    found = make(request.param, tmp_path, sshd)
    yield found
    assert found.leftovers() == []


@pytest.fixture
def job(tmp_path: Path, zoo: Path) -> Path:
    """A job with a small model in its folder."""
    folder = tmp_path / "job"
    fill(folder, zoo, X)
    return folder


def fill(folder: Path, zoo: Path, x: Any, **content: Any) -> Path:
    folder.mkdir(parents=True)
    np.savez(folder / "inputs.npz", **{"0": x})
    (folder / "m.onnx").write_bytes((zoo / "mlp.onnx").read_bytes())
    write(folder, **content)
    return folder


def write(folder: Path, **content: Any) -> None:
    base = {"mode": "outputs", "models": [{"name": "m", "file": "m.onnx"}], "inputs": "inputs.npz"}
    (folder / "job.json").write_text(json.dumps(base | content))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Put another program in the runner's place; its path."""

    def replace(source: str) -> str:
        path = tmp_path / "other.py"
        path.write_text("import os, signal, sys, time\n" + source)
        monkeypatch.setattr(runner, "__file__", str(path))
        monkeypatch.setattr(programs, "runner", lambda _: path)
        return str(path)

    return replace


def gone(pid: int) -> bool:
    """Whether a process ends (or is at most a zombie) within five seconds."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
