"""Ssh: whom it trusts, what it says when it cannot, and what becomes of a job when the connection goes."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pytest

from edgebuild.devices.jobs import looks, remote
from edgebuild.devices.ssh import Ssh
from edgebuild.spec.checked import check
from edgebuild.spec.errors import DeviceError, UsageError
from tests.devices.places import ROOT, Place, make, wrapper
from tests.devices.sshd import Sshd, free_port, keygen


@pytest.fixture
def place(tmp_path: Path, sshd: Callable[[], Sshd]) -> Iterator[Place]:
    found = make("ssh", tmp_path, sshd)
    yield found
    assert found.leftovers() == []


def known(path: Path, port: int, public: Path) -> str:
    path.write_text(f"[127.0.0.1]:{port} {' '.join(public.read_text().split()[:2])}\n")
    return str(path)


def refused(device: Any, job: Path) -> str:
    """The one line that `why_unusable` gives; executing a job raises the same."""
    line = device.why_unusable()
    assert line
    assert "\n" not in line
    with pytest.raises(DeviceError) as caught:
        device.execute(job, timeout=60)
    assert caught.value.line == line
    return str(line)


def test_an_unknown_host_key_is_refused_and_not_learnt(place: Place, job: Path, tmp_path: Path) -> None:
    empty = tmp_path / "nobody"
    empty.touch()
    line = refused(place.change(known_hosts=str(empty)), job)
    assert "is unknown" in line
    assert "SHA256:" in line
    assert f"ssh -p {place.device.port} -o UserKnownHostsFile={empty} " in line
    assert empty.read_bytes() == b""


def test_the_users_own_known_hosts_count_by_default(
    place: Place, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    device = place.change(known_hosts="")
    assert "is unknown" in refused(device, job)
    trusted = Path(place.device.known_hosts).read_text()
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text(trusted)
    device.execute(job, timeout=60)


def test_a_users_settings_cannot_switch_the_check_off(
    place: Place, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    lines = "StrictHostKeyChecking no\nUserKnownHostsFile none\nGlobalKnownHostsFile none\n"
    (tmp_path / "home" / ".ssh" / "config").write_text(f"Host *\n{lines}")
    assert "is unknown" in refused(place.change(known_hosts=""), job)


def test_a_changed_host_key_is_refused(place: Place, job: Path, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    hosts = known(tmp_path / "hosts", place.device.port, tmp_path / "other.pub")
    line = refused(place.change(known_hosts=hosts), job)
    assert "has CHANGED" in line
    assert "ssh-keygen -f" in line


def test_a_revoked_host_key_is_refused(place: Place, job: Path, tmp_path: Path) -> None:
    trusted = Path(place.device.known_hosts).read_text()
    (tmp_path / "hosts").write_text(f"{trusted}@revoked {trusted}")
    assert "host key" in refused(place.change(known_hosts=str(tmp_path / "hosts")), job)


def test_a_stranger_is_refused(place: Place, job: Path, tmp_path: Path) -> None:
    keygen(tmp_path / "stranger")
    assert "refuses the log-in" in refused(place.change(key=str(tmp_path / "stranger")), job)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"known_hosts": "/no/such"}, "No such file or directory: /no/such"),
        ({"key": "/no/such"}, "No such file or directory: /no/such"),
        ({"python": "/no/such"}, "Python cannot be started .*/no/such"),
        ({"python": "false"}, "ended with code 1"),
        ({"folder": "/no/such"}, "on the device: there is no folder /no/such"),
        ({"host": "nowhere.invalid"}, "nowhere.invalid"),
    ],
)
def test_what_is_wrong_is_one_line(place: Place, job: Path, options: dict[str, Any], said: str) -> None:
    line = refused(place.change(**options), job)
    assert re.search(said, line)


def test_a_host_without_sftp_is_one_line(place: Place, job: Path, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = Sshd(tmp_path / "server", more="").start()
    try:
        assert "has no SFTP server" in refused(place.change(**server.options), job)
    finally:
        server.stop()


def test_a_dead_host_is_one_line(place: Place, job: Path) -> None:
    assert "Connection refused" in refused(place.change(port=free_port()), job)


def test_a_host_that_never_speaks_is_one_line(place: Place, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebuild.devices import _ssh_link

    monkeypatch.setattr(_ssh_link, "LOGIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        device = place.change(port=mute.getsockname()[1])
        assert "does not answer" in str(device.why_unusable())


def having(place: Place, tmp_path: Path, *packages: str) -> Any:
    """The device with a Python that has these packages alone."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    site = next(bare.glob("lib/python*/site-packages"))
    for package in packages:
        for path in Path(np.__file__).parents[1].glob(f"{package}*"):
            (site / path.name).symlink_to(path)
    then = f'exec {quote(str(bare))}/bin/python "$@"'
    return place.change(python=str(wrapper(tmp_path / "poor", place.folder, then)))


def test_no_numpy_is_one_line(place: Place, tmp_path: Path) -> None:
    assert "numpy is not installed" in str(having(place, tmp_path).why_unusable())


def test_no_runtime_is_one_line_and_a_job_says_which(place: Place, tmp_path: Path, job: Path) -> None:
    device = having(place, tmp_path, "numpy")
    assert "no runtime is installed" in str(device.why_unusable())
    with pytest.raises(DeviceError, match="runtime-missing: onnxruntime"):
        device.execute(job, timeout=60)


def test_an_old_python_is_one_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "NEEDED", (4, 0))
    assert "is Python 3." in str(place.device.why_unusable())


def test_a_chatty_shell_is_not_listened_to(place: Place, tmp_path: Path, job: Path) -> None:
    then = f'echo "welcome"; echo "{{}}"; echo "{{x}}" ; echo 7; exec {quote(sys.executable)} "$@"'
    place.change(python=str(wrapper(tmp_path / "chatty", place.folder, then))).execute(job, timeout=60)


def test_options_are_checked(tmp_path: Path) -> None:
    made = check(Ssh, {"host": "pi", "cooldown": "2 min", "port": 2222}, file="x.toml")
    assert (made, made.cooldown) == (Ssh("pi", port=2222, cooldown=120.0), 120.0)
    assert check(Ssh, {"host": "pi", "cooldown": "0 s"}, file="x.toml") == Ssh("pi")
    wrong: list[dict[str, Any]] = [
        {}, {"host": ""}, {"host": "-oProxyCommand=x"}, {"host": "a b"}, {"host": "a\n"}, {"host": "pi", "port": 0},
        {"host": "pi", "port": "22"}, {"host": "pi", "user": "-l"}, {"host": "pi", "python": ""},
        {"host": "pi", "python": "-c"},
        {"host": "pi", "cooldown": "5"}, {"host": "pi", "cooldown": "-1 s"}, {"host": "pi", "password": "x"},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(UsageError, match=r"x\.toml"):
            check(Ssh, options, file="x.toml")


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert "pip install 'edgebuild[ssh]'" in str(Ssh("nowhere.invalid", user="nobody").why_unusable())


def test_importing_it_is_light() -> None:
    code = (
        "import sys, edgebuild.devices.ssh, edgebuild.devices.adb\n"
        "print(*{'asyncssh', 'adbutils', 'asyncio', 'cryptography', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout.split()) == ("", [])


def test_a_device_is_looked_at_once_in_a_few_seconds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.device.why_unusable() is None
    monkeypatch.setattr(Ssh, "_ask", lambda self: pytest.fail("asked again"))
    assert place.device.fingerprint()["host"]
    monkeypatch.setattr(looks, "FRESH", -1.0)
    monkeypatch.setattr(Ssh, "_ask", lambda self: {"packages": {}})
    assert "numpy" in place.device.why_unusable()
