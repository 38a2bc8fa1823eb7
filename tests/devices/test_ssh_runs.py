"""Ssh in mid-run: the connection goes, files change on the way, the disk fills, the device tells little."""

from __future__ import annotations

import getpass
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild import travels
from edgebuild.devices import ssh
from edgebuild.devices.jobs import outcome
from edgebuild.spec import waiting
from edgebuild.spec.errors import DeviceError
from tests.devices.conftest import fill
from tests.devices.places import Place, client, make, processes
from tests.devices.sshd import Sshd


@pytest.fixture
def place(tmp_path: Path, sshd: Callable[[], Sshd]) -> Iterator[Place]:
    found = make("ssh", tmp_path, sshd)
    yield found
    assert found.leftovers() == []


def in_background(work: Callable[[], None]) -> tuple[threading.Thread, list[DeviceError]]:
    errors: list[DeviceError] = []

    def run() -> None:
        try:
            work()
        except DeviceError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def test_a_connection_cut_in_mid_run_leaves_nothing_there(
    place: Place, job: Path, program: Callable[[str], str]
) -> None:
    program("os.fork()\nopen('pid', 'w').write('x')\ntime.sleep(600)")
    thread, errors = in_background(lambda: place.device.execute(job, timeout=120))
    place.wait_for("pid")
    os.kill(session_of(place), signal.SIGKILL)
    thread.join(60)
    assert len(errors) == 1
    assert re.fullmatch(r"[^\n]*(?i:connection)[^\n]*lost", str(errors[0]))


def session_of(place: Place) -> int:
    """The process of sshd that serves the supervisor."""
    supervisor = next(pid for pid, words in processes(str(place.folder)).items() if "-I" in words)
    return int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_client_that_falls_silent_leaves_nothing_there(
    place: Place, job: Path, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the cable is pulled: nobody tells the device."""
    monkeypatch.setattr(ssh.Ssh, "patience", 1.0)
    program("time.sleep(600)")
    with pytest.raises(DeviceError, match="supervisor ended with code 0"):
        place.device.execute(job, timeout=120)


def test_a_live_client_is_waited_for(
    place: Place, job: Path, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebuild.devices import _ssh_link

    monkeypatch.setattr(ssh.Ssh, "patience", 2.0)
    monkeypatch.setattr(_ssh_link, "ALIVE", 0.2)
    program("time.sleep(5)\nprint('through', file=sys.stderr)")
    with pytest.raises(DeviceError, match="no result: through"):
        place.device.execute(job, timeout=120)


def test_only_results_come_back(place: Place, job: Path, program: Callable[[str], str]) -> None:
    program(
        "for name in ('../evil', 'evil', '.outputs.npz', 'job.json', 'a b.outputs.npz', 'x\\n.outputs.npz'):"
        " open(name, 'w').write('evil')\n"
        "os.symlink('/etc/passwd', 'm.outputs.npz')\n"
        "os.makedirs('deep'); open('deep/m.outputs.npz', 'w').write('evil')"
    )
    before = {path.name: path.read_bytes() for path in job.iterdir()}
    with pytest.raises(DeviceError, match="no result"):
        place.device.execute(job, timeout=60)
    after = {path.name: path.read_bytes() for path in job.iterdir()}
    assert after == before | {"runner.stdout": b"", "runner.stderr": b""}
    assert not (job.parent / "evil").exists()


def test_a_file_that_changes_on_the_way_is_noticed(place: Place, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebuild.devices._ssh_link import Link

    real = Link.push

    def bent(self: Link, local: Path, remote: str) -> None:
        changed = job.parent / "changed"
        changed.write_bytes(local.read_bytes() + b"x" * (local.name == "m.onnx"))
        real(self, changed, remote)

    monkeypatch.setattr(Link, "push", bent)
    with pytest.raises(DeviceError, match=r"m\.onnx did not arrive on the device as it was sent"):
        place.device.execute(job, timeout=60)


@pytest.fixture
def small(place: Place, tmp_path: Path) -> Iterator[Any]:
    """The device with a disk of 1 MiB."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=True)
    yield place.change(folder=str(disk))
    left = list(disk.iterdir())
    subprocess.run(["umount", "-l", str(disk)], check=True)
    assert left == []


def test_a_disk_that_is_too_small_is_named(small: Any, job: Path) -> None:
    (job / "big").write_bytes(os.urandom(3 << 20))
    with pytest.raises(DeviceError, match=r"the job needs 3\.\d MiB on the device, which has .* free in .*/disk"):
        small.execute(job, timeout=60)


def test_a_disk_that_fills_on_the_way_is_named(small: Any, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job / "a-big").write_bytes(os.urandom(3 << 20))
    monkeypatch.setattr(
        Path, "stat", lambda path, **_: os.stat_result([0o100644, *[0] * 9]) if path.name == "a-big" else os.stat(path)
    )
    with pytest.raises(DeviceError, match=r"a-big: .*Failure \(0 B free there\)"):
        small.execute(job, timeout=60)


def test_a_disk_that_fills_during_the_run_is_named(small: Any, tmp_path: Path, zoo: Path) -> None:
    job = fill(tmp_path / "many", zoo, np.zeros((40_000, 4), np.float32))
    with pytest.raises(DeviceError, match=r"only .* free on the device"):
        small.execute(job, timeout=60)


def test_what_the_device_does_not_tell_is_unknown(
    place: Place, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No governor, a clock of `<unknown>`, a temperature that cannot be read."""
    system = tmp_path / "sys"
    (system / "devices/system/cpu/cpu0/cpufreq").mkdir(parents=True)
    (system / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").write_text("<unknown>\n")
    (system / "class/thermal/thermal_zone0/temp").mkdir(parents=True)
    name, file = "runner_device.py", travels.file
    (tmp_path / name).write_text(file(name).read_text().replace('"/sys/', f'"{system}/'))
    monkeypatch.setattr(travels, "file", lambda asked: tmp_path / name if asked == name else file(asked))
    assert place.device.fingerprint()["governor"] == "unknown"
    place.change(cooldown=1.0).execute(job, timeout=60)


NOTED = """
import pathlib, time
noted = pathlib.Path({noted!r})
with noted.open("a") as file: file.write(f"begin {{time.monotonic()}}\\n")
time.sleep(0.4)
with noted.open("a") as file: file.write(f"end {{time.monotonic()}}\\n")
"""


class TestOneBoardForMany:
    """Whoever measures on a board has it alone: the lock is on the board, so it holds for clients of any machine."""

    def test_jobs_of_two_clients_never_overlap(
        self, place: Place, job: Path, tmp_path: Path, zoo: Path, program: Callable[[str], str]
    ) -> None:
        noted = tmp_path / "noted"
        path = program(NOTED.format(noted=str(noted)))
        jobs = [fill(tmp_path / f"job{k}", zoo, np.zeros((1, 4), np.float32)) for k in range(4)]
        clients = [client(place, each, path) for each in jobs]
        for each in clients:
            each.wait(120)
        words = [line.split()[0] for line in noted.read_text().splitlines()]
        assert words == ["begin", "end"] * 4

    def test_who_waits_is_told_for_what_and_comes_next(
        self, place: Place, job: Path, tmp_path: Path, zoo: Path, program: Callable[[str], str]
    ) -> None:
        go, told = tmp_path / "go", []
        path = program(
            f"open('pid', 'w').write('x')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)\n"
            "print('through', file=sys.stderr)"
        )
        first = client(place, fill(tmp_path / "first", zoo, np.zeros((1, 4), np.float32)), path)
        place.wait_for("pid")

        def heard(what: str | None) -> None:
            told.append(what)
            go.touch()

        with waiting.heard_by(heard), pytest.raises(DeviceError, match="no result: through"):
            place.device.execute(job, timeout=60)
        who = rf"{re.escape(getpass.getuser())}@{re.escape(os.uname().nodename)}"
        assert re.fullmatch(f"waiting for device 127.0.0.1, which is in use by {who}", told[0])
        assert told[1:] == [None]
        first.wait(60)

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_a_client_that_dies_with_the_board_in_hand_leaves_it_to_the_next(
        self,
        place: Place,
        job: Path,
        tmp_path: Path,
        zoo: Path,
        program: Callable[[str], str],
        how: signal.Signals,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = program("open('pid', 'w').write('x')\ntime.sleep(600)")
        dead = client(place, fill(tmp_path / "first", zoo, np.zeros((1, 4), np.float32)), path)
        place.wait_for("pid")
        monkeypatch.undo()
        with waiting.heard_by(lambda what: dead.send_signal(how) if what else None):
            place.device.execute(job, timeout=60)
        assert outcome.read_result(job)["models"]["m"]["examples"] == 2
        dead.wait(60)

    def test_a_look_at_the_board_waits_for_nobody(
        self, place: Place, job: Path, tmp_path: Path, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a board is, is asked before anything is planned: a short question, that must not wait for an hour."""
        path = program("open('pid', 'w').write('x')\ntime.sleep(600)")
        busy = client(place, job, path)
        place.wait_for("pid")
        monkeypatch.undo()
        assert place.change(cooldown=1.0).why_unusable() is None
        busy.kill()
        busy.wait(60)
