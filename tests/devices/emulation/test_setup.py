"""Set-up: nothing of the machine decides what comes of it, and each thing that may be missing is said in a line."""

import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgebuild.devices.emulation import bytecode, compiler, host, pinned, sysroot, wheels
from edgebuild.devices.emulation.commands import cause, launched, run
from edgebuild.devices.emulation.host import HOSTS
from edgebuild.devices.emulation.parts import manifest, obtain
from edgebuild.devices.emulation.supply import Brought, Network
from edgebuild.devices.emulation.sysroot import Emulator
from edgebuild.spec.errors import DeviceError
from tests import ROOT


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("Reading...\nE: Unable to locate package a", "E: Unable to locate package a"),
        ("x.c:1:2: error: unknown\nmore", "x.c:1:2: error: unknown"),
        ("WARNING: Retrying after NewConnectionError: Failed to establish\nERROR: no version", "no network? WARNING"),
        ("WARNING: old\nlast words\n[notice] new pip", "last words"),
        ("", "exit code 7"),
    ],
)
def test_the_cause_is_the_line_that_says_why(output, said):
    assert cause(output, 7).startswith(said)


@pytest.mark.parametrize("cut", [1, 100])
def test_a_damaged_wheel_is_refused(tmp_path, cut):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a.py", "x" * 200)
    wheel.write_bytes(wheel.read_bytes()[:-cut])
    with pytest.raises(DeviceError, match=r"a\.whl is damaged"):
        wheels.unpack([wheel], tmp_path / "site")


def test_wheels_stay_inside_the_folder(tmp_path):
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/a.whl", "w") as archive:
        archive.writestr("../../evil.py", "x")
        archive.writestr("/evil.py", "x")
    wheels.unpack([tmp_path / "wheels/a.whl"], tmp_path / "deep/site")
    assert all(path.is_relative_to(tmp_path / "deep/site") for path in tmp_path.rglob("evil.py"))


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64")])
def test_a_wrong_system_is_named(monkeypatch, system, machine):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(DeviceError, match=f"needs Linux on x86_64 or aarch64, this is {system} on {machine}"):
        sysroot.check_machine()


def test_no_library_of_this_machine_is_loaded(emulator: Emulator):
    """Not even its C library. The kernel's own (vdso) is no file, and the loader, which runs, is told as /lib64's."""
    for program in (emulator.qemu, emulator.llvm_mc, emulator.llvm_mca, emulator.tools / "bin/python3.11"):
        loader, *options, name = host.command(program)
        listed = run([loader, *options, "--list", name], what="libraries")
        paths = re.findall(r"(?:=> |^\t)(/.+) \(0x", listed, re.MULTILINE)
        assert len(paths) > 3
        others = [each for each in paths if not Path(each).is_relative_to(emulator.libraries)]
        assert [each for each in others if Path(each).name != host.this_host().loader] == []


def test_programs_and_system_are_those_of_the_list(emulator: Emulator):
    for name, group in (("tools", "tools-x86_64"), ("system", "system"), ("site", "site")):
        listed = {each.name: each.sha256 for each in pinned.group(group)}
        assert {each["name"]: each["sha256"] for each in emulator.manifest()[name]["downloads"]} == listed


def test_both_architectures_have_the_same_packages():
    """At the same versions, so that what is counted on one is counted on the other."""

    def packages(machine: str, debian: str) -> set[str]:
        return {each.name.replace(f"_{debian}.", "_") for each in pinned.group(pinned.TOOLS.format(machine))}

    assert packages("x86_64", "amd64") == packages("aarch64", "arm64")


def test_the_list_has_the_runtimes_of_the_lock():
    """Others are brought by pip, and not without a network."""
    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split() if "==" in line)
    brought = pinned.wheels(pinned.SITE)
    assert {name: brought[name] for name in wheels.installed_versions()} == {
        name: locked[name] for name in wheels.installed_versions()
    }


def test_brought_files_of_other_versions_are_refused(tmp_path, monkeypatch):
    versions = wheels.installed_versions() | {"onnxruntime": "1.0"}
    monkeypatch.setattr(wheels, "installed_versions", lambda: versions)
    site = next(part for part in sysroot._parts(tmp_path, Brought(tmp_path)) if part.name == "site")
    with pytest.raises(DeviceError, match="onnxruntime 1.0 is installed here.*pip install .*onnxruntime==1.3"):
        obtain(tmp_path, [site])


def test_a_machine_with_no_programs_of_its_own_gets_the_same_plugin(tmp_path, monkeypatch, emulator: Emulator):
    """No compiler, no apt, no dpkg: nothing at all in the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    [plugin] = [part for part in sysroot._parts(tmp_path, Network()) if part.name == "plugin"]
    told: list[str] = []
    tree = obtain(tmp_path / "cache", [plugin], progress=told.append)["plugin"]
    assert (tree / "plugin.so").read_bytes() == emulator.plugin.read_bytes()
    [wheel] = manifest(tree)["downloads"]
    assert wheel["name"].startswith("ziglang-")
    assert told == [
        "part 1 of 1, plugin: what counts work, and a C compiler to make it",
        f"  there: 1 files, {wheel['size'] / 1e6:.0f} MB were fetched",
    ]


@pytest.mark.parametrize("what", ["compiler", "flags"])
def test_all_that_decides_the_plugin_decides_where_it_lies(tmp_path, monkeypatch, what):
    def folder() -> Path:
        [plugin] = [part for part in sysroot._parts(tmp_path, Network()) if part.name == "plugin"]
        return plugin.folder(tmp_path)

    before = folder()
    if what == "flags":
        monkeypatch.setattr(compiler, "FLAGS", ())
    else:
        monkeypatch.setattr(pinned, "group", lambda name: (pinned.Pinned("pool/a.deb", "0", 1),))
    assert folder() != before


def test_a_compiler_error_is_one_line(tmp_path):
    _program(tmp_path, "zig", 'echo "plugin.c:1:26: error: unknown" >&2; echo more >&2; exit 1')
    with pytest.raises(DeviceError, match=r"counting plugin: .*error: .*unknown") as caught:
        compiler.compile_plugin(tmp_path / "zig", tmp_path / "plugin.c", tmp_path / "plugin.so", HOSTS["x86_64"])
    assert "\n" not in str(caught.value)


def test_a_program_that_hangs_is_ended():
    with pytest.raises(DeviceError, match="sleeping: sleep did not end within 0 s"):
        run(["sleep", "60"], what="sleeping", timeout_s=0.2)


def test_bytecode_is_the_same_every_time_and_without_this_machines_python(tmp_path, emulator: Emulator):
    (tmp_path / "a.py").write_text("x = {1, 2}\n")
    bytecode.compile_folder(tmp_path, emulator.tools, emulator.system)
    [compiled] = tmp_path.rglob("*.pyc")
    first = compiled.read_bytes()
    os.utime(tmp_path / "a.py", (0, 0))
    bytecode.compile_folder(tmp_path, emulator.tools, emulator.system)
    assert (compiled.name, compiled.read_bytes()) == ("a.cpython-311.pyc", first)
    assert str(tmp_path).encode() not in first


def test_what_is_launched_has_its_limits_and_none_of_the_users_libraries(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/nonexistent.so")
    code = "import os, resource as r; print(*map(r.getrlimit, (r.RLIMIT_CPU, r.RLIMIT_CORE)), os.getenv('LD_PRELOAD'))"
    done = subprocess.run([*launched(7), sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(7, 12) (0, 0) None\n"


def test_nothing_is_launched_for_one_that_ended_before_the_launcher_had_begun():
    """A launcher that another process inherits stands for it: the kernel tells nothing of an end that was before."""
    other = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    command = [sys.executable, "-c", other, *launched(), sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_program_that_cannot_be_started_is_one_line(tmp_path):
    (tmp_path / "broken").write_bytes(b"no program")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(DeviceError, match="trying: error: cannot start .*broken: Exec format error"):
        run([tmp_path / "broken"], what="trying")


def test_the_emulated_core_gets_the_runtimes_of_formats_that_need_nothing_beside_them():
    assert [*wheels.installed_versions()] == ["numpy", "onnxruntime", "ai-edge-litert"]  # ExecuTorch brings PyTorch
