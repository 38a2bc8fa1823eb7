"""Set-up: what is carried over from the machine's apt, and one clear line for each thing that may be missing."""

import os
import platform
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from edgebuild.devices.emulation import compiler, sysroot, wheels
from edgebuild.devices.emulation.apt import PrivateApt, unpack
from edgebuild.devices.emulation.commands import cause, run
from edgebuild.devices.emulation.parts import manifest, obtain
from edgebuild.spec.errors import DeviceError


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """A PATH with the usual programs after those that a test puts in front."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


DUMP = """
Acquire::http::Proxy "http://proxy.example:3128";
APT::Update::Post-Invoke:: "touch /tmp/hook";
Dir::Etc "etc/apt";
Dir::Etc::sourceparts "sources.list.d";
Dir::Etc::parts "apt.conf.d";
Dir::Etc::trusted "trusted.gpg";
Dir::State "var/lib/apt";
DPkg::Post-Invoke:: "rm -f x";
"""
DEB_DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
PLAN = f"echo \"'http://host/a.deb' a.deb 3 SHA256:{DEB_DIGEST}\""


def _apt(bin_folder: Path, download: str) -> None:
    _program(bin_folder, "apt-config", f"cat <<'END'\n{DUMP}END")
    _program(bin_folder, "apt-get", f'case "$*" in *update*) ;; *print-uris*) {PLAN};; *) {download};; esac')


def test_private_apt_keeps_sources_keys_and_proxy_but_no_hooks(tmp_path, bin_folder):
    _apt(bin_folder, "printf abc > a.deb")
    [download] = PrivateApt(tmp_path / "apt").fetch(["a:arm64"], tmp_path)
    config = tmp_path / "apt/apt.conf"
    text = config.read_text()
    assert (download.sha256, download.size) == (DEB_DIGEST, 3)
    assert all(word in text for word in ("proxy.example", "sourceparts", "trusted.gpg", '"arm64"', "etc/apt"))
    assert "Post-Invoke" not in text
    assert 'parts "apt.conf.d"' not in text
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


@pytest.mark.parametrize("download", ["printf ab > a.deb", "true", "printf abd > a.deb"])
def test_a_short_absent_or_altered_package_is_refused(tmp_path, bin_folder, download):
    _apt(bin_folder, download)
    with pytest.raises(DeviceError, match=r"a\.deb: digest"):
        PrivateApt(tmp_path / "apt").fetch(["a:arm64"], tmp_path)


def test_no_network_is_said_of_the_lists(tmp_path, bin_folder):
    _program(bin_folder, "apt-config", "true")
    failed = "echo \"E: Failed to fetch http://host Could not resolve 'host'\" >&2; exit 100"
    _program(
        bin_folder, "apt-get", f'case "$*" in *update*) {failed};; *) echo "E: Unable to locate" >&2; exit 100;; esac'
    )
    with pytest.raises(DeviceError, match="package lists: no network\\? E: Failed to fetch") as caught:
        PrivateApt(tmp_path / "apt").fetch(["a:arm64"], tmp_path)
    assert "\n" not in str(caught.value)


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


def test_one_broken_source_does_not_matter(tmp_path, bin_folder):
    _program(bin_folder, "apt-config", "true")
    steps = f'*update*) echo "E: other source" >&2; exit 100;; *print-uris*) {PLAN};; *) printf abc > a.deb;;'
    _program(bin_folder, "apt-get", f'case "$*" in {steps} esac')
    assert PrivateApt(tmp_path / "apt").fetch(["a:arm64"], tmp_path)


def test_a_damaged_package_is_refused(tmp_path):
    (tmp_path / "debs").mkdir()
    (tmp_path / "debs/a.deb").write_bytes(b"!<arch>\ndebian-binary   ")
    with pytest.raises(DeviceError, match=r"unpacking a\.deb"):
        unpack(tmp_path / "debs", tmp_path / "tree")


@pytest.mark.parametrize("cut", [1, 100])
def test_a_damaged_wheel_is_refused(tmp_path, cut):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a.py", "x" * 200)
    wheel.write_bytes(wheel.read_bytes()[:-cut])
    with pytest.raises(DeviceError, match=r"a\.whl is damaged"):
        wheels.unpack(tmp_path, tmp_path / "site")


def test_wheels_stay_inside_the_folder(tmp_path):
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/a.whl", "w") as archive:
        archive.writestr("../../evil.py", "x")
        archive.writestr("/evil.py", "x")
    wheels.unpack(tmp_path / "wheels", tmp_path / "deep/site")
    assert all(path.is_relative_to(tmp_path / "deep/site") for path in tmp_path.rglob("evil.py"))


@pytest.mark.parametrize("missing", ["apt-get", "dpkg-deb"])
def test_a_missing_program_is_named(monkeypatch, missing):
    found = sysroot.require

    def require(program: str, what: str) -> None:
        found("no-such-program" if program == missing else program, what)

    monkeypatch.setattr(sysroot, "require", require)
    with pytest.raises(DeviceError, match="no-such-program is not installed"):
        sysroot.check_machine()


@pytest.mark.parametrize(
    ("system", "machine", "release", "said"),
    [
        ("Darwin", "arm64", {}, "this is Darwin on arm64"),
        ("Linux", "aarch64", {}, "this is Linux on aarch64"),
        ("Linux", "x86_64", {"VERSION_CODENAME": "noble", "PRETTY_NAME": "Ubuntu 24.04"}, "this is Ubuntu 24.04"),
    ],
)
def test_a_wrong_system_is_named(monkeypatch, system, machine, release, said):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    with pytest.raises(DeviceError, match=said):
        sysroot.check_machine()


def test_a_machine_without_a_c_compiler_gets_the_same_plugin(tmp_path, monkeypatch, emulator):
    """The programs that Debian 12 cannot be without, and no others."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "apt-config", "dpkg-deb", "ldd", "setpriv"):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(programs))
    assert shutil.which("cc") is None
    [plugin] = [part for part in sysroot._parts() if part.name == "plugin"]
    told: list[str] = []
    tree = obtain(tmp_path / "cache", [plugin], progress=told.append)["plugin"]
    assert (tree / "plugin.so").read_bytes() == emulator.plugin.read_bytes()
    [wheel] = manifest(tree)["downloads"]
    assert wheel["name"].startswith("ziglang-")
    assert told == [
        "part 1 of 1, plugin: what counts work, and a C compiler to make it",
        f"  there: 1 files, {wheel['size'] / 1e6:.0f} MB were fetched",
    ]


@pytest.mark.parametrize("what", ["PACKAGE", "FLAGS"])
def test_all_that_decides_the_plugin_decides_where_it_lies(tmp_path, monkeypatch, what):
    def folder() -> Path:
        [plugin] = [part for part in sysroot._parts() if part.name == "plugin"]
        return plugin.folder(tmp_path)

    before = folder()
    monkeypatch.setattr(compiler, what, "ziglang==0" if what == "PACKAGE" else ())
    assert folder() != before


def test_a_compiler_error_is_one_line(tmp_path):
    _program(tmp_path, "zig", 'echo "plugin.c:1:26: error: unknown" >&2; echo more >&2; exit 1')
    with pytest.raises(DeviceError, match=r"counting plugin: .*error: .*unknown") as caught:
        compiler.compile_plugin(tmp_path / "zig", tmp_path / "plugin.c", tmp_path / "plugin.so")
    assert "\n" not in str(caught.value)


def test_a_program_that_hangs_is_ended():
    with pytest.raises(DeviceError, match="sleeping: sleep did not end within 0 s"):
        run(["sleep", "60"], what="sleeping", timeout_s=0.2)


def test_only_bytecode_without_times_is_written(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    wheels.compile_bytecode(tmp_path)
    first = [path.read_bytes() for path in tmp_path.rglob("*.pyc")]
    os.utime(tmp_path / "a.py", (0, 0))
    wheels.compile_bytecode(tmp_path)
    assert first == [path.read_bytes() for path in tmp_path.rglob("*.pyc")]
    assert str(tmp_path).encode() not in b"".join(first)


def test_the_emulated_core_gets_the_runtimes_of_formats_that_need_nothing_beside_them():
    assert [*wheels.installed_versions()] == ["numpy", "onnxruntime", "ai-edge-litert"]  # ExecuTorch brings PyTorch
