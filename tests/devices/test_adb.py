"""Adb: the contract over a real adbd, and what it says when there is no phone to speak with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgebuild.devices.adb import Adb
from edgebuild.devices.jobs import looks
from edgebuild.spec.checked import check
from edgebuild.spec.errors import DeviceError, UsageError
from tests.devices.packages import packages
from tests.devices.places import ROOT

# Of the contract what rests on its own link; `make test` holds what it shares with ssh over ssh alone.
OWN = ("outputs_are_right", "files_in_folders_travel", "leaves_running_ends", "no_python", "that_the_phone_refuses")


@pytest.mark.parametrize(
    "which",
    [pytest.param(f"adb and ({' or '.join(OWN)})", id="own"), pytest.param("adb", id="all", marks=pytest.mark.slow)],
)
def test_the_contract_holds_over_adb(which: str, tmp_path: Path) -> None:
    """adbd trusts whoever reaches it, so it and its tests run where nobody else is."""
    packages("adbd")
    environment = os.environ | {"EDGEBUILD_TEST_DEVICES": "adb"}
    # What asks for this device: other tests of these files have run outside.
    inside = ["tests/devices/test_contract.py", "tests/devices/adb_inside.py", "-k", which]
    pytest_ = [sys.executable, "-m", "pytest", "-rsp", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'in'}"]
    # With its own processes too: none outlives the tests.
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    command += ["--kill-child"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine lets its users make no namespaces: {tried.stderr.strip()}")
    done = subprocess.run(
        [*command, *pytest_, *inside], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert done.stdout.count("PASSED ") >= len(OWN), done.stdout


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An adb server that knows these phones; only a real phone can be in such states."""
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(listener.getsockname()[1]))
    phones: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                said = "".join(f"{phone}\n" for phone in phones)
                connection.sendall(f"OKAY{len(said):04x}{said}".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    yield phones.extend
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


@pytest.mark.parametrize(
    ("phones", "serial", "said"),
    [
        ([], "", "no phone: plug one in"),
        ([], "A1", "no phone A1; there is none at all"),
        (["B2\tdevice"], "A1", "no phone A1; there is B2"),
        (["A1\tdevice", "B2\tdevice"], "", "several phones, A1, B2: name one with `serial`"),
        (["A1\tunauthorized"], "", "phone A1 has not authorised this computer"),
        (["A1\toffline"], "A1", "phone A1 is offline"),
        (["A1\tno permissions (user is not in the plugdev group)"], "", "phone A1 may not be opened by this user"),
        (["A1\trecovery"], "", "phone A1 is in state 'recovery'"),
    ],
)
def test_what_is_wrong_is_one_line(
    server: Any, phones: list[str], serial: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "FRESH", -1.0)
    server(phones)
    line = Adb(serial=serial).why_unusable()
    assert said in str(line)
    assert "\n" not in str(line)
    with pytest.raises(DeviceError, match=r"phone"):
        Adb(serial=serial).execute(tmp_path, timeout=60)


def test_no_adb_program_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "FRESH", -1.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(taken.getsockname()[1]))
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/no/adb")
    assert "/no/adb" in str(Adb().why_unusable())


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "FRESH", -1.0)
    monkeypatch.setitem(sys.modules, "adbutils", None)
    assert "pip install 'edgebuild[adb]'" in str(Adb().why_unusable())


def test_options_are_checked() -> None:
    assert check(Adb, {"serial": "A1", "python": "/data/local/tmp/python"}, file="x.toml").serial == "A1"
    for options in (
        {"serial": "-s"},
        {"serial": "a b"},
        {"python": ""},
        {"python": "-c"},
        {"host": "x"},
        {"folder": 1},
    ):
        with pytest.raises(UsageError, match=r"x\.toml"):
            check(Adb, options, file="x.toml")
