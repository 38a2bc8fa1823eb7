"""Which device measures: the first that is there, a stand-in that is told of, or none at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.devices.emulation import sysroot
from edgebuild.devices.qemu import Qemu, cache_folder
from edgebuild.plan import trust
from edgebuild.plan.instruments import Instruments, survey
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import DeviceSpec, Gate, Hardware, Target
from tests import ROOT, scenarios

PROJECT = Path(scenarios.__file__).parent / "project"
LACKING = "asks for emulated evidence, and here there is only host: the verdict will be inconclusive"
HOW = "the emulator is not set up: edgebuild devices setup"


@pytest.fixture
def pi() -> Target:
    """The shipped Raspberry Pi 4: emulated, else this machine."""
    return open_project(ROOT).target("rpi4")


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No emulator on this machine."""
    monkeypatch.setenv("EDGEBUILD_EMULATOR", str(tmp_path / "empty"))


def test_the_emulated_core_comes_first_and_nothing_is_told(pi: Target) -> None:
    sysroot.prepare(cache_folder())
    instruments = Instruments(pi)
    chosen = instruments.best("latency")
    assert (chosen.device.transport, chosen.fidelity, instruments.notices) == ("qemu", "emulated", [])
    assert chosen.device.counts
    assert chosen.fingerprint["cpu"] == "cortex-a72 (emulated)"
    assert len(chosen.fingerprint["emulator"]) == 64
    code = ("edgebuild.devices.qemu", "edgebuild.formats.onnx", "edgebuild.travels.load_onnx")
    assert chosen.code("onnx") == code
    assert instruments.host.device.transport == "local"


@pytest.mark.usefixtures("absent")
def test_without_an_emulator_this_machine_stands_in_and_one_notice_says_how_to_mend_it(pi: Target) -> None:
    instruments = Instruments(pi)
    for what in ("outputs", "latency"):
        chosen = instruments.best(what)
        assert (chosen.device.transport, chosen.fidelity) == ("local", "host")
    assert instruments.notices == [f"rpi4: qemu: {HOW}; local stands in for it"]


@pytest.mark.usefixtures("absent")
def test_a_survey_lists_every_device_and_why_it_cannot_be_used(pi: Target) -> None:
    assert survey(pi) == [
        {"target": "rpi4", "transport": "qemu", "fidelity": "emulated", "why_unusable": HOW},
        {"target": "rpi4", "transport": "local", "fidelity": "host", "why_unusable": None},
    ]


@pytest.mark.usefixtures("absent")
def test_without_any_device_it_is_a_device_error_that_says_why(pi: Target) -> None:
    with pytest.raises(DeviceError) as caught:
        Instruments(replace(pi, devices=pi.devices[:1])).best("outputs")
    assert caught.value.exit_code == 4
    assert caught.value.line == f"targets/rpi4.toml: devices: no device can measure outputs: qemu: {HOW}"
    with pytest.raises(DeviceError, match="no device can measure outputs: none is declared for it"):
        Instruments(replace(pi, devices=(DeviceSpec("local", ("latency",)),))).best("outputs")


def test_a_device_measures_only_what_it_is_trusted_with(pi: Target) -> None:
    only = Instruments(replace(pi, devices=(DeviceSpec("local", ("latency",)), DeviceSpec("local", ("outputs",)))))
    assert only.declares("outputs")
    assert only.best("outputs").device is only.declared[1][1].device
    assert not Instruments(replace(pi, devices=(DeviceSpec("local", ("outputs",)),))).declares("latency")


def test_a_target_without_a_core_cannot_be_emulated(pi: Target) -> None:
    bare = replace(pi, hardware=replace(pi.hardware, core=None))
    instruments = Instruments(bare)
    assert instruments.best("latency").device.transport == "local"
    assert instruments.notices == ["rpi4: qemu: the target declares no [hardware.core]; local stands in for it"]


def test_a_core_that_the_emulator_does_not_know_is_one_line(pi: Target, tmp_path: Path) -> None:
    sysroot.prepare(cache_folder())
    (tmp_path / "job.json").write_text(json.dumps({"mode": "describe", "models": []}))
    unknown: Hardware = replace(pi.hardware, cpu="cortex-a99")
    with pytest.raises(DeviceError, match="cortex-a99") as caught:
        Qemu().attach(unknown).execute(tmp_path, timeout=60)
    assert "\n" not in caught.value.line


@pytest.mark.usefixtures("absent")
def test_a_gate_that_no_device_here_can_satisfy_is_told(pi: Target) -> None:
    gates = [Gate("latency", "+3 %", fidelity="emulated"), Gate("latency", "40 ms"), Gate("size", "1 MiB")]
    told = (
        "rpi4: latency '+3 %' asks for emulated evidence, and here there is only host: the verdict will be inconclusive"
    )
    assert trust.notices(Instruments(pi), gates) == [told]


def test_where_the_emulator_is_there_nothing_is_told_unless_it_cannot_tell_time(pi: Target) -> None:
    sysroot.prepare(cache_folder())
    gates = [Gate("latency", "+3 %", fidelity="emulated"), Gate("accuracy", "1 pp", fidelity="emulated")]
    assert trust.notices(Instruments(pi), gates) == []
    assert pi.hardware.core is not None
    timeless = replace(pi, hardware=replace(pi.hardware, core=replace(pi.hardware.core, time=None)))
    assert [text.split()[1] for text in trust.notices(Instruments(timeless), gates)] == ["latency"]


TARGET = """\
description = "A board that cannot be emulated here"
hardware = {arch = "aarch64", cpu = "cortex-a72", clock = "1.5 GHz", ram = "4 GiB", \
core = {part = 0xd08, variant = 0, revision = 3, features = ["fp"], \
caches = [{level = 1, kind = "Data", size = "32 KiB", ways = 2}]}}
runtimes = [{format = "onnx"}]
recipe = [{use = "float16"}]
devices = [{transport = "qemu"}, {transport = "local"}]
timing = {looks = [6], iterations = 2, warmup_iterations = 1, warmup = "0.01 s"}
gates = [{metric = "size", limit = "1 MiB"}, {metric = "latency", limit = "+900 %", fidelity = "emulated"}]
"""


def test_a_build_without_the_emulator_still_gives_a_candidate_whose_time_is_in_doubt(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "models", tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    model = tmp_path / "models" / "tiny" / "model.toml"
    model.write_text(model.read_text().replace("epochs = 12", "epochs = 1"))
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "board.toml").write_text(TARGET)
    done = subprocess.run(
        [sys.executable, "-m", "edgebuild", "--target", "board", "--json"],
        cwd=tmp_path, env=os.environ | {"EDGEBUILD_EMULATOR": str(tmp_path / "empty")},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    told = [
        f"board: qemu: {HOW}; local stands in for it",
        f"board: latency '+900 %' {LACKING}",
    ]
    before = done.stderr[: done.stderr.index("run   ")].splitlines()
    assert before == [f"note  {line}" for line in told]
    assert json.loads(done.stdout)["notices"] == told
    (bundle,) = json.loads(done.stdout)["bundles"]
    verdicts = {verdict["metric"]: verdict for verdict in bundle["formats"]["onnx"]["verdicts"]}
    size, latency = verdicts["size"], verdicts["latency"]
    assert (size["status"], latency["status"]) == ("pass", "inconclusive")
    assert "`edgebuild doctor`, which says what the emulator lacks here" in latency["next"]
    assert latency["reason"].endswith("but only host; the gate asks for emulated")
    manifest = json.loads((Path(bundle["folder"]) / "manifest.json").read_text())
    assert manifest["status"] == "candidate"
