"""`edgebuild doctor`: what is missing for the project's targets, what mends it, and what does not matter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from edgebuild import cli
from edgebuild.devices.emulation import sysroot
from edgebuild.engine import keys
from edgebuild.spec.errors import DeviceError
from edgebuild.verbs.doctor import _lack
from tests import scenarios

PROJECT = Path(scenarios.__file__).parent / "project"
BOARD = """\
description = "a board"
hardware = {arch = "aarch64", cpu = "cortex-a72", clock = "1.5 GHz", ram = "4 GiB", \
core = {part = 0xd08, variant = 0, revision = 3, features = ["fp"], \
caches = [{level = 1, kind = "Data", size = "32 KiB", ways = 2}]}}
runtimes = [{format = "onnx"}]
recipe = []
devices = [{transport = "qemu"}, {transport = "local"}]
gates = [{metric = "latency", limit = "3 %", fidelity = "FIDELITY"}]
"""
Usage = namedtuple("Usage", "total used free")

Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one target, `board`, on a machine without the emulator."""
    monkeypatch.setenv("EDGEBUILD_EMULATOR", str(tmp_path / "no emulator"))
    monkeypatch.delenv("EDGEBUILD_STORE", raising=False)
    return shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def doctor(root: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Exit code and findings by subject."""

    def run(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        code = cli.main(["doctor", "-C", str(root), "--json", *arguments])
        document = json.loads(capsys.readouterr().out)
        assert document["ready"] == (code == 0)
        found = {finding["subject"]: finding for finding in document["findings"]}
        assert len(found) == len(document["findings"])
        return code, found

    return run


def board(root: Path, fidelity: str = "emulated", old: str = "\0", new: str = "") -> None:
    """Another target in the place of the project's own."""
    (root / "targets" / "board.toml").write_text(BOARD.replace("FIDELITY", fidelity).replace(old, new))


def absent(monkeypatch: pytest.MonkeyPatch, *names: str, **versions: str) -> None:
    """Let packages look as if they were not installed, or of another version."""
    installed = keys.version
    other = {name.replace("_", "-"): version for name, version in versions.items()} | dict.fromkeys(names, "absent")
    monkeypatch.setattr(keys, "version", lambda name: other.get(name) or installed(name))


def test_a_machine_with_all_that_the_targets_need_is_well(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0
    assert {subject: each["state"] for subject, each in found.items() if not subject.startswith("packages")} == {
        "Python": "ok",
        "board: local": "ok",
        "store": "ok",
        "emulator's folder": "ok",
        "bundles": "ok",
    }
    assert all(not each["mend"] for each in found.values() if each["ok"])


def test_only_the_projects_own_targets_count_unless_others_are_named(doctor: Doctor, root: Path) -> None:
    assert doctor()[0] == 0
    code, found = doctor("--target", "rpi4")
    assert (code, found["rpi4: qemu"]["state"], "board: local" in found) == (4, "missing", False)
    shutil.rmtree(root / "targets")
    code, found = doctor()
    assert (code, found["rpi4: qemu"]["state"]) == (4, "missing")


def test_a_missing_emulator_is_mended_by_one_command(
    doctor: Doctor, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board(root)
    code, found = doctor()
    assert code == 4
    assert found["board: qemu"] == {
        "subject": "board: qemu",
        "found": "the emulator is not set up: edgebuild devices setup",
        "state": "missing",
        "ok": False,
        "needed": True,
        "mend": "edgebuild devices setup",
    }
    assert found["board: local"]["ok"]  # it is there, but what it measures is not believed
    monkeypatch.setattr(sysroot, "check_machine", _refuse)
    assert doctor()[1]["board: qemu"]["mend"] == "emulator set-up: needs Debian 12"


def _refuse() -> None:
    raise DeviceError("emulator set-up: needs Debian 12")


def test_a_device_is_not_needed_where_another_is_believed_as_well(doctor: Doctor, root: Path) -> None:
    board(root, fidelity="host")
    code, found = doctor()
    assert (code, found["board: qemu"]["state"]) == (0, "not needed")


@pytest.mark.parametrize(("least", "state"), [("emulated", "missing"), ("host", "not needed")])
def test_the_policys_gates_ask_for_what_the_target_says_its_devices_can_give(
    doctor: Doctor, root: Path, least: str, state: str
) -> None:
    """A target without gates of its own, as those that come with edgebuild."""
    own = 'gates = [{metric = "latency", limit = "3 %", fidelity = "emulated"}]'
    board(root, old=own, new=f'fidelity = {{outputs = "host", latency = "{least}"}}')
    assert doctor()[1]["board: qemu"]["state"] == state


def test_where_no_device_is_good_enough_any_will_do(doctor: Doctor, root: Path) -> None:
    board(root, fidelity="hardware")
    assert doctor()[0] == 0
    board(root, "hardware", '{transport = "qemu"}, {transport = "local"}', '{transport = "qemu"}')
    assert doctor()[0] == 4


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent(monkeypatch, "onnxscript", "mlxtend")
    code, found = doctor()
    assert code == 4
    assert found["packages for onnx"]["found"] == "onnxscript is not installed"
    assert found["packages for onnx"]["mend"] == "pip install 'edgebuild[onnx]'"
    assert found["packages for digits"]["state"] == "not needed"  # no model of this project names it
    assert found["packages for tflite"]["ok"]


def test_an_old_package_is_as_good_as_none(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, tensorboardx="2.5.9")
    code, found = doctor()
    assert code == 4
    assert found["packages for torch"]["found"] == "tensorboardx 2.5.9 is not >=2.6"


@pytest.mark.parametrize(
    ("installed", "required", "told"),
    [
        ("2.13.0+cpu", "x==2.13.0", ""),
        ("2.13.1", "x==2.13.0", "x 2.13.1 is not ==2.13.0"),
        ("1.10", "x>=1.9", ""),
        ("1.9.9", "x>=1.10", "x 1.9.9 is not >=1.10"),
        ("2.0rc1", "x>=1.10", ""),
        ("2.1", "x>=1.10,!=2.1", "x 2.1 is not !=2.1,>=1.10"),
        ("anything", "x", ""),
        ("absent", "x", "x is not installed"),
    ],
)
def test_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, installed: str, required: str, told: str
) -> None:
    absent(monkeypatch, x=installed)
    assert _lack("x", Requirement(required)) == told


def test_an_extra_is_needed_by_who_uses_it(doctor: Doctor, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "ai-edge-litert", "mlxtend")
    board(root, fidelity="host")  # onnx alone
    code, found = doctor()
    assert (code, found["packages for tflite"]["state"]) == (0, "not needed")
    model = root / "models" / "tiny" / "model.toml"
    model.write_text(model.read_text().replace('["numpy"]', '["numpy", "mlxtend", "no-such-package"]'))
    code, found = doctor()
    assert (code, found["packages for digits"]["state"]) == (4, "missing")
    assert found["package no-such-package"]["mend"] == "pip install no-such-package"
    assert "package numpy" not in found  # comes with us


def test_a_full_disk_is_told_before_a_build_finds_out(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 100 << 20))
    code, found = doctor()
    assert code == 4
    assert found["store"]["found"].startswith("0.1 GiB free in ")
    assert found["store"]["mend"] == "edgebuild cache clear, or export EDGEBUILD_STORE=/another/disk"
    assert (found["bundles"]["state"], found["emulator's folder"]["state"]) == ("ok", "not needed")


def test_a_folder_that_cannot_be_written_is_told(doctor: Doctor, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBUILD_STORE", "/proc/store")
    (root / "dist").write_text("in the way")
    code, found = doctor()
    assert code == 4
    assert found["store"]["found"].startswith("/proc/store cannot be written: ")
    assert found["bundles"]["found"] == f"{root / 'dist'} cannot be written: Not a directory"


def test_it_changes_nothing(doctor: Doctor, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")}
    doctor()
    assert {path: path.stat().st_mtime_ns for path in root.parent.rglob("*") if path != root} == {
        path: time for path, time in before.items() if path != root
    }


def test_people_see_a_line_for_each_and_then_what_to_do(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", "-C", str(root)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.endswith("\n\nall that board need is here\n")
    board(root)
    assert cli.main(arguments) == 4
    table, mended = capsys.readouterr().out.split("\n\nto mend it:\n")
    assert any(line.split()[:3] == ["board:", "qemu", "missing"] for line in table.splitlines())
    assert mended == "  edgebuild devices setup\n"


def test_a_mistake_in_a_target_is_a_usage_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board(root, "emulated", "qemu", "quemu")
    assert cli.main(["doctor", "-C", str(root)]) == 2
    assert "devices[0].transport: unknown device transport 'quemu'" in capsys.readouterr().err
    assert cli.main(["doctor", "-C", str(root), "-t", "nowhere"]) == 2


def test_it_imports_nothing_heavy(root: Path) -> None:
    code = (
        "import sys\nfrom edgebuild.cli import main\nmain(['doctor'])\n"
        "heavy = {'torch', 'numpy', 'onnx', 'onnxruntime', 'scipy', 'ai_edge_litert', 'jinja2', 'asyncssh'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=dict(os.environ), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
