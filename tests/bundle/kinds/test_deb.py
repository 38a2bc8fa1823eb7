"""The Debian package is one that dpkg reads; what it installs serves the model, or the version before."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.bundle import golden, manifest
from tests.bundle.kinds.conftest import Package, contents

HOME = "usr/lib/model-tiny-board"


def members(file: Path) -> dict[str, bytes]:
    """The members of a Unix archive, in its order."""
    stream, found = io.BytesIO(file.read_bytes()), {}
    assert stream.read(8) == b"!<arch>\n"
    while head := stream.read(60):
        assert head.endswith(b"`\n")
        found[head[:16].decode().strip()] = stream.read(int(head[48:58]))
        stream.read(len(found[head[:16].decode().strip()]) % 2)
    return found


@pytest.fixture(scope="module")
def file(lite: Path, package: Package) -> Path:
    """The package."""
    (path,) = package(lite, "deb", "--release", "1.2").glob("*.deb")
    return path


@pytest.fixture(scope="module")
def root(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it installs, below a folder."""
    folder = tmp_path_factory.mktemp("root")
    with tarfile.open(fileobj=io.BytesIO(members(file)["data.tar.gz"])) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python has no such filter
        archive.extractall(folder)
    return folder


def test_its_members_are_those_of_deb_5(file: Path, root: Path) -> None:
    assert file.name == "model-tiny-board_1.2_all.deb"
    found = members(file)
    assert [*found] == ["debian-binary", "control.tar.gz", "data.tar.gz"]
    assert found["debian-binary"] == b"2.0\n"
    with tarfile.open(fileobj=io.BytesIO(found["control.tar.gz"])) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        control = archive.extractfile("./control").read().decode()  # type: ignore[union-attr]
        sums = archive.extractfile("./md5sums").read().decode()  # type: ignore[union-attr]
    assert modes["./postinst"] == 0o755
    assert "Package: model-tiny-board\nVersion: 1.2\nArchitecture: all\n" in control
    assert "Depends: python3 (>= 3.9), python3-numpy\n" in control
    assert {line.split("  ")[1] for line in sums.splitlines()} == {*contents(root)}


def test_the_service_is_a_program_for_python_3_9(root: Path) -> None:
    ast.parse((root / HOME / "serve.py").read_text(), feature_version=(3, 9))


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb: this is no Debian")
def test_dpkg_reads_it(file: Path, root: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", str(file), str(tmp_path)], check=True)
    assert contents(tmp_path) == contents(root)
    told = subprocess.run(["dpkg-deb", "--field", str(file), "Package"], check=True, capture_output=True, text=True)
    assert told.stdout == "model-tiny-board\n"


def test_the_unit_confines_the_service(root: Path) -> None:
    unit = (root / "usr/lib/systemd/system/model-tiny-board.service").read_text().splitlines()
    confined = {"DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "IPAddressDeny=any"}
    assert {*confined, "StartLimitIntervalSec=0"} <= {*unit}
    assert f"ExecStart=/usr/bin/python3 -B /{HOME}/serve.py --bundle /{HOME}/bundle" in "\n".join(unit)
    (limit,) = (int(line.partition("=")[2]) for line in unit if line.startswith("MemoryMax="))
    assert limit == (256 << 20) + 8 * (root / HOME / "bundle" / "model.tflite").stat().st_size


@contextmanager
def service(root: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The service as the unit starts it, on a port of its own."""
    command = [
        sys.executable,
        "-B",
        str(root / HOME / "serve.py"),
        "--bundle",
        str(root / HOME / "bundle"),
        "--port",
        "0",
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        yield int(told.rpartition(":")[2] or 0), process
    finally:
        process.kill()
        process.communicate()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """The status and the body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text


def stored(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_it_serves_what_was_judged_and_refuses_the_rest(lite: Path, root: Path) -> None:
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    (inputs,), (outputs,) = golden.read(lite, facts.golden)
    with service(root) as (port, process):
        npy, png, plain = "application/x-npy", "image/png", "application/json"
        status, told = ask(port, "POST", "/infer", stored(inputs[:1]), Content_Type=npy)
        assert status == 200
        assert np.abs(np.array(told["outputs"]["output"]) - outputs[0]).max() <= facts.golden.tolerance[0]
        as_lists = json.dumps({"inputs": {"image": inputs[0].tolist()}}).encode()
        assert ask(port, "POST", "/infer", as_lists, Content_Type=plain) == (status, told)
        assert ask(port, "POST", "/infer", (lite / "sample.png").read_bytes(), Content_Type=png)[0] == 200
        for body, kind, expected in (
            (b"no picture", png, 400),
            (stored(np.zeros((3, 3))), npy, 400),
            (b'{"inputs": {"picture": 1}}', plain, 400),
            (b"x", "text/html", 415),
            (b"0" * (1 << 22), npy, 413),
        ):
            assert ask(port, "POST", "/infer", body, Content_Type=kind)[0] == expected
        assert ask(port, "POST", "/elsewhere", b"")[0] == 404
        status, health = ask(port, "GET", "/health")
        assert (status, health["status"], health["rolled_back"]) == (200, "serving", False)
        assert 'edgebuild_requests_total{path="/infer",status="200"} 3\n' in ask(port, "GET", "/metrics")[1]
        with socket.create_connection(
            ("127.0.0.1", port)
        ) as idle:  # one that says nothing keeps nobody from being served
            assert ask(port, "POST", "/infer", stored(inputs[:1]), Content_Type=npy)[0] == 200
            idle.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_what_it_accepted_is_answered_also_while_it_ends(lite: Path, root: Path) -> None:
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    body = stored(golden.read(lite, facts.golden)[0][0][:1])
    with service(root, "--waiting", "4") as (port, process), ThreadPoolExecutor(8) as pool:
        sent = threading.Barrier(8)

        def one(number: int) -> int:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.connect()
            ask(port, "GET", "/health")  # the connection before has been accepted
            sent.wait()
            if number == 0:
                process.send_signal(signal.SIGTERM)
            connection.request("POST", "/infer", body, {"Content-Type": "application/x-npy"})
            return connection.getresponse().status

        assert {*pool.map(one, range(8))} <= {200, 503}
        assert process.wait(timeout=60) == 0


def test_who_waits_in_the_kernel_when_it_ends_is_answered(lite: Path, root: Path) -> None:
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    body = stored(golden.read(lite, facts.golden)[0][0][:1])
    with service(root, "--connections", "1") as (port, process):
        with socket.create_connection(("127.0.0.1", port)):  # says nothing, and so holds the only place
            time.sleep(0.3)
            waiting = [HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(3)]
            for each in waiting:
                each.request("POST", "/infer", body, {"Content-Type": "application/x-npy"})
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert [each.getresponse().status for each in waiting] == [200, 200, 200]
        assert process.wait(timeout=60) == 0


def spoilt(lite: Path, folder: Path) -> Path:
    """A bundle that is whole by its digests, and answers otherwise than when it was judged."""
    bundle = shutil.copytree(lite, folder)
    facts = manifest.read_bundle(bundle)
    with np.load(bundle / "golden.npz") as vectors:
        arrays = dict(vectors)
    np.savez(bundle / "golden.npz", **{**arrays, "output/0": arrays["output/0"] + 5})
    manifest.seal(bundle, facts)
    return bundle


def test_a_bad_version_is_not_served_and_the_one_before_is(lite: Path, root: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    shutil.rmtree(copy / HOME / "bundle")
    spoilt(lite, copy / HOME / "bundle")
    with service(copy, "--before", str(lite)) as (port, process):
        assert ask(port, "GET", "/health")[1]["rolled_back"] is True
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert "is refused: run.py: self-test: output of golden input 0 is off by 5" in log
    assert "serving the version before" in log
    whole = (copy / HOME / "bundle" / "model.tflite").read_bytes()
    (copy / HOME / "bundle" / "model.tflite").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with service(copy) as (port, process):
        assert process.wait(timeout=60) == 1
        log = process.stderr.read() if process.stderr else ""
    assert "is refused: model.tflite is not the file that was built" in log
    assert "there is no version before" in log


def dpkg(system: Path, *arguments: str | Path) -> None:
    """Run dpkg on a system of its own below a folder; the interpreter of these tests is its python3."""
    (system / "var/lib/dpkg/info").mkdir(parents=True, exist_ok=True)
    (system / "var/lib/dpkg/updates").mkdir(exist_ok=True)
    (system / "var/lib/dpkg/status").touch()
    forced = "--force-script-chrootless,depends,not-root"
    command = ["dpkg", f"--root={system}", "--log=/dev/null", forced, *map(str, arguments)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    shutil.which("dpkg") is None or os.geteuid() != 0, reason="dpkg installs nothing: no Debian, or not root"
)
def test_an_upgrade_keeps_the_version_before_while_it_is_well(
    lite: Path, file: Path, package: Package, tmp_path: Path
) -> None:
    system = tmp_path / "system"
    place, before = system / HOME / "bundle", system / "var/lib/model-tiny-board/before"
    (bad,) = package(spoilt(lite, tmp_path / "bad"), "deb", "--release", "2.0").glob("*.deb")
    (good,) = package(lite, "deb", "--release", "3.0").glob("*.deb")
    dpkg(system, "--install", file)
    assert contents(place) == contents(lite)
    assert not before.exists()
    for newer, inside in ((bad, tmp_path / "bad"), (good, lite)):  # the bad one is not kept
        dpkg(system, "--install", newer)
        assert contents(place) == contents(inside)
        assert contents(before) == contents(lite)
        if newer == bad:
            with service(system, "--before", str(before)) as (port, _):
                assert ask(port, "GET", "/health")[1]["rolled_back"] is True
    dpkg(system, "--remove", "model-tiny-board")
    assert not (system / HOME).exists()
    assert not before.parent.exists()
