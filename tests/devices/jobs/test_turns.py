"""What is timed on a machine runs alone there, whichever project or user builds; the locks die with who holds them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgebuild.devices.jobs.turns import THIS, Machine, turn
from edgebuild.spec import waiting
from edgebuild.travels import supervisor
from tests.engine.processes import eventually

HOLD = """
import sys
from edgebuild.devices.jobs.turns import turn
with turn(alone=sys.argv[1] == "alone"):
    print("in", flush=True)
    sys.stdin.read()
print("out", flush=True)
"""
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks of each test's own."""
    monkeypatch.setenv("EDGEBUILD_LOCKS", str(tmp_path))
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    """Other processes that hold a turn, `alone` or `beside`, until their input ends."""
    started: list[subprocess.Popen[str]] = []

    def other(how: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, how]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield other
    for process in started:
        process.kill()
        process.wait()


def inside(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stdout
    assert process.stdout.readline() == "in\n"
    return process


def enter(*, alone: bool) -> bool:
    """Whether a new build gets its turn at once."""
    machine = Machine()
    leave = machine.enter(alone=alone)
    if leave is not None:
        leave()
    machine.give_up()
    return leave is not None


def test_others_work_side_by_side(start: Start) -> None:
    inside(start("beside"))
    inside(start("beside"))
    assert enter(alone=False)


@pytest.mark.parametrize("mine", [True, False])
def test_nobody_works_beside_what_is_timed(start: Start, mine: bool) -> None:
    inside(start("alone"))
    assert not enter(alone=mine)


def test_what_is_timed_waits_for_those_that_work(start: Start) -> None:
    other = inside(start("beside"))
    assert not enter(alone=True)
    other.communicate("")
    assert enter(alone=True)


def test_while_one_waits_to_be_alone_nobody_new_comes_in(start: Start) -> None:
    """Else a machine with many builds would never be quiet."""
    other = inside(start("beside"))
    machine = Machine()
    assert machine.enter(alone=True) is None
    assert not enter(alone=False)
    other.communicate("")
    leave = machine.enter(alone=True)
    assert leave is not None
    assert not enter(alone=False)
    leave()
    assert enter(alone=False)


def test_who_gives_up_lets_others_in(start: Start) -> None:
    inside(start("beside"))
    machine = Machine()
    assert machine.enter(alone=True) is None
    machine.give_up()
    assert enter(alone=False)


def test_the_turn_of_a_killed_build_is_over(start: Start) -> None:
    other = inside(start("alone"))
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert enter(alone=True)


def test_who_waits_says_for_what_and_is_let_in(start: Start) -> None:
    told: list[str | None] = []
    other = inside(start("alone"))

    def heard(what: str | None) -> None:
        told.append(what)
        if what:
            assert other.stdin
            other.stdin.close()

    with waiting.heard_by(heard), turn(alone=True):
        assert told == [f"waiting for {THIS}, which is in use", None]


def test_who_measures_by_ssh_waits_for_who_measures_here(start: Start, tmp_path: Path) -> None:
    """The supervisor takes the same lock of the device, and none of those that keep the machine's work apart."""
    command = [sys.executable, "-I", str(Path(supervisor.__file__))]
    other = inside(start("alone"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write('{"do": "lock"}\n')
        assert process.stdout.readline() == '{"locked": false, "holder": {}}\n'
        other.communicate("")
        assert process.stdout.readline() == '{"locked": true}\n'
        assert not enter(alone=True)
        assert enter(alone=False)
        process.stdin.close()
        process.wait(30)
    assert enter(alone=True)


def test_every_user_can_take_a_lock_that_another_has_made(locks: Path) -> None:
    before = os.umask(0o077)
    try:
        os.close(supervisor.lock_file("edgebuild-x.lock"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((locks / "edgebuild-x.lock").stat().st_mode) == 0o644
    (locks / "edgebuild-x.lock").chmod(0o444)
    os.close(supervisor.lock_file("edgebuild-x.lock"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_waits_for_the_same_lock(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sticky folder that all may write to, as /run/lock is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setenv("EDGEBUILD_LOCKS", folder)
        inside(start("alone"))
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                os._exit(7 if Machine().enter(alone=False) is None else 0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_link_in_the_place_of_a_lock_is_not_followed(locks: Path, tmp_path: Path) -> None:
    (locks / "edgebuild-x.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        supervisor.lock_file("edgebuild-x.lock")
    assert not (tmp_path / "victim").exists()


def test_the_folder_is_one_that_all_users_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEBUILD_LOCKS")
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    monkeypatch.setattr(
        supervisor, "LOCKS", (str(tmp_path / "absent"), str(tmp_path / "own"), str(tmp_path / "shared"))
    )
    assert supervisor.locks() == str(tmp_path / "shared")
    monkeypatch.setattr(supervisor, "LOCKS", (str(tmp_path / "absent"), str(tmp_path / "own")))
    assert supervisor.locks() == str(tmp_path / "own")
    # Sealed containers mount what they can for reading alone.
    monkeypatch.setattr(supervisor, "LOCKS", ("/sys/kernel", str(tmp_path / "own")))
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_flag=os.ST_RDONLY * (place == "/sys/kernel")))
    assert supervisor.locks() == str(tmp_path / "own")
    monkeypatch.setattr(supervisor, "LOCKS", ())
    assert eventually(lambda: Path(supervisor.locks()).is_dir())
