"""One lease a device: it says who has it and until when, lives by signs of life, and is taken over when it expired."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebuild.devices.ssh import Ssh
from edgebuild.plan.instruments import Instruments
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import DeviceSpec
from edgebuild.travels import supervisor
from tests import ROOT
from tests.devices.places import wrapper
from tests.devices.sshd import Sshd
from tests.engine.processes import alive, eventually

SOURCE = Path(supervisor.__file__).read_text()
ALONE = SOURCE.replace("LIBC: Any = ctypes.CDLL(None)", "raise ImportError")  # its jobs may outlive it
JOB = "import os, time\nopen('part', 'w').write(str(os.getpid()))\nos.rename('part', 'pid')\ntime.sleep(600)"


class Holder:
    """A client with a supervisor of its own on this machine, which is the device."""

    def __init__(self, locks: Path, name: str, seconds: float = 60.0, source: str = SOURCE) -> None:
        environment = os.environ | {"EDGEBUILD_LOCKS": str(locks)}
        self.name, self.seconds, self.folder = name, seconds, locks.parent
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def ask(self, do: str, **request: Any) -> Any:
        self.send(json.dumps({"do": do, **request}))
        return self.hear()

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, seconds: float = 60.0) -> Any:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], seconds)[0], "nothing was said"
        return json.loads(self.process.stdout.readline())

    def open(self) -> Holder:
        self.ask("open", base=str(self.folder), folders=["job"], patience=None)
        return self

    def lock(self) -> Any:
        return self.ask("lock", name=self.name, by=f"me@{self.name}", seconds=self.seconds)

    def run(self, code: str) -> None:
        argv = [sys.executable, "-c", code]
        self.send(json.dumps({"do": "run", "argv": argv, "env": {}, "cwd": "job", "stdout": "o", "stderr": "e"}))

    def job(self) -> int:
        """Start what runs until it is ended; its number, once it runs."""
        self.run(JOB)
        assert eventually(lambda: [*self.folder.glob("edgebuild-*/job/pid")])
        (place,) = self.folder.glob("edgebuild-*/job/pid")
        return int(place.read_text())

    def leave(self) -> None:
        assert self.process.stdin is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            self.process.wait(30)
        self.process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    return folder


@contextmanager
def holders(locks: Path, *names: str, seconds: float = 60.0) -> Iterator[list[Holder]]:
    several = [Holder(locks, name, seconds) for name in names]
    try:
        yield [each.open() for each in several]
    finally:
        for each in several:
            each.leave()


def lease(locks: Path) -> dict[str, Any]:
    (file,) = locks.glob("*.lease")
    read: dict[str, Any] = json.loads(file.read_text())
    return read


def test_who_waits_is_told_who_has_it_by_which_name_and_comes_next(locks: Path) -> None:
    with holders(locks, "raspi", "10.0.0.5") as (first, second):
        assert first.lock() == {"locked": True}
        assert second.lock() == {"locked": False, "holder": {"name": "raspi", "by": "me@raspi"}}
        first.leave()
        assert second.hear() == {"locked": True}
        assert lease(locks)["name"] == "10.0.0.5"
    assert list(locks.glob("*.lease*")) == []


def test_a_sign_of_life_puts_it_off_and_silence_does_not(locks: Path) -> None:
    with holders(locks, "board", seconds=1.0) as (holder,):
        holder.lock()
        until = lease(locks)["until"]
        time.sleep(0.3)
        assert lease(locks)["until"] == until
        holder.send("")
        assert eventually(lambda: lease(locks)["until"] > until)


def test_what_has_expired_is_taken_over_and_its_job_ends_first(locks: Path, tmp_path: Path) -> None:
    with holders(locks, "asleep", "awake", seconds=0.5) as (asleep, awake):
        asleep.lock()
        job = asleep.job()
        os.kill(asleep.process.pid, signal.SIGSTOP)
        assert awake.lock()["locked"] is False
        assert awake.hear() == {"locked": True}
        assert not alive(job)
        assert asleep.process.wait(10) == -signal.SIGKILL
        assert len([*tmp_path.glob("edgebuild-*")]) == 1
        assert lease(locks)["name"] == "awake"


def test_a_job_does_not_outlive_a_supervisor_that_is_killed(locks: Path) -> None:
    with holders(locks, "board") as (holder,):
        holder.lock()
        job = holder.job()
        holder.process.kill()
        assert eventually(lambda: not alive(job))


@pytest.mark.parametrize("written", [True, False])
def test_nobody_has_the_device_while_a_job_outlives_its_supervisor(locks: Path, written: bool) -> None:
    """Which a kernel that is late to end it, or cannot be asked to, lets it do; the lease may name the job or not."""
    with holders(locks, "next") as (later,):
        killed = Holder(locks, "killed", source=ALONE).open()
        killed.lock()
        job = killed.job()
        if not written:
            next(locks.glob("*.lease")).unlink()
        killed.process.kill()
        killed.leave()
        assert later.lock() == {"locked": False, "holder": {}}
        if not written:
            assert alive(job)
            os.kill(job, signal.SIGKILL)
        assert later.hear() == {"locked": True}
        assert not alive(job) if written else eventually(lambda: not alive(job))  # the kernel lets go of locks first


def test_who_comes_next_sees_to_it_that_nothing_runs_of_a_holder_that_was_killed(locks: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    told = {"pid": 1, "started": "never", "boot": supervisor.boot(), "until": 1.0}
    told |= {"group": left.pid, "group_started": supervisor.started(left.pid)}
    (locks / f"{supervisor.DEVICE}.{os.getuid()}{supervisor.LEASE}").write_text(json.dumps(told))
    with holders(locks, "next") as (holder,):
        assert holder.lock() == {"locked": True}
        assert not alive(left.pid)
    assert left.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("wrong", ["started", "boot"])
def test_a_lease_of_another_boot_or_process_ends_nobody(locks: Path, wrong: str) -> None:
    """Its number may be anybody's by now."""
    with holders(locks, "stale", "other", seconds=0.3) as (stale, other):
        stale.lock()
        (file,) = locks.glob("*.lease")
        file.write_text(json.dumps({**lease(locks), wrong: "another", "until": 1.0}))
        assert other.lock() == {"locked": False, "holder": {}}
        time.sleep(1.5)
        assert stale.process.poll() is None
        stale.leave()
        assert other.hear() == {"locked": True}


def test_random_leases_never_overlap(locks: Path, tmp_path: Path) -> None:
    """Holders that end well, are killed, or fall asleep; `python -m benchmarks leases` takes 1,000."""
    from benchmarks.leases import many

    result = many(12, tmp_path / "many", seconds=1.0, seed=7)
    assert (result.leases, result.overlaps) == (12, 0)
    assert result.taken_over == result.asleep > 0


def test_two_names_for_one_board_are_one_line(sshd: Callable[[], Sshd], tmp_path: Path) -> None:
    server = sshd()
    names = ("127.0.0.1", "localhost")
    known = tmp_path / "known"
    key = server.known_hosts.read_text().partition(" ")[2]
    known.write_text("".join(f"[{name}]:{server.port} {key}" for name in names))
    python = str(wrapper(tmp_path / "python", tmp_path))
    options = {**server.options, "known_hosts": str(known), "python": python}
    specs = [
        DeviceSpec("ssh", ("latency",), {**options, "host": name}, key=f"devices[{n}]") for n, name in enumerate(names)
    ]
    pi, boards = open_project(ROOT).target("rpi4"), dict[str, str]()
    one, other = (Instruments(replace(pi, devices=(spec,)), boards=boards) for spec in specs)
    assert isinstance(one.best("latency").device, Ssh)
    assert one.best("latency").device.board is not None
    with pytest.raises(UsageError, match="'localhost' and '127.0.0.1' are one machine .give it one name") as raised:
        other.best("latency")
    assert raised.value.exit_code == 2
    assert "devices[1]" in raised.value.line
