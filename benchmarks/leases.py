"""Leases of a device: clients that end well, are killed or fall asleep never overlap, and what expired is taken over.

Each client has the supervisor that travels to boards, as a process of this machine, which is the board. Who has the
lease runs a job that notes the time every few milliseconds as long as it lives: two jobs overlap where one begins
before the last word of another.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks._tables import Table
from edgebuild.spec.errors import DeviceError
from edgebuild.travels import supervisor

LEASES, CLIENTS, SECONDS = 1000, 6, 0.5
_ENDS = {"ends well": 0.7, "is killed": 0.15, "falls asleep": 0.15}
_SOURCE = Path(supervisor.__file__).read_text(encoding="utf-8")
_JOB = """
import sys, time
file = open(sys.argv[1], "a", buffering=1)
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    file.write(f"{sys.argv[2]} {time.monotonic()}\\n")
    time.sleep(0.003)
"""
_COLUMNS = {
    "end": ("holder", ""),
    "leases": ("leases", "d"),
    "taken": ("taken over by who waited", "d"),
    "wait": ("median until the next had it (s)", ".2f"),
    "longest": ("longest", ".2f"),
}


@dataclass(slots=True)
class Result:
    """What came of it: leases that were had, jobs that overlapped, holders that fell asleep and those taken over."""

    leases: int = 0
    overlaps: int = 0
    asleep: int = 0
    taken_over: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Many:
    """The clients, which take the next number as long as there is one."""

    folder: Path
    numbers: list[int]
    ends: dict[int, str]
    seconds: float
    sleeping: list[tuple[int, subprocess.Popen[bytes]]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def work(self) -> None:
        """One client after another."""
        while True:
            with self.guard:
                if not self.numbers:
                    return
                number = self.numbers.pop()
            self.hold(number)

    def hold(self, number: int) -> None:
        """Have the lease once, and end as this one ends."""
        ends = self.ends[number]
        client = self.client()
        try:
            self.has(client, number)
            lasts = 600.0 if ends == "falls asleep" else 0.005 + 0.05 * random.Random(number).random()  # noqa: S311
            argv = [sys.executable, "-S", "-c", _JOB, str(self.folder / "noted"), str(number), str(lasts)]
            _send(client, {"do": "run", "argv": argv, "env": {}, "cwd": "job", "stdout": "o", "stderr": "e"})
            if ends == "ends well":
                _hear(client)
            else:
                self.wait_for(number)
        except (OSError, ValueError):  # it was too slow to give a sign of life, and somebody had it taken over
            self.lost.append(number)
        if ends == "falls asleep":
            client.send_signal(signal.SIGSTOP)
            self.sleeping.append((number, client))
            return
        if ends == "is killed":
            client.kill()
        _close(client)

    def client(self) -> subprocess.Popen[bytes]:
        """A supervisor with a folder of its own."""
        environment = os.environ | {"EDGEBUILD_LOCKS": str(self.folder / "locks")}
        command = [sys.executable, "-I", "-S", "-c", _SOURCE]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        _send(client, {"do": "open", "base": str(self.folder), "folders": ["job"], "patience": None})
        _hear(client)
        return client

    def has(self, client: subprocess.Popen[bytes], number: int) -> None:
        """Wait for the lease."""
        _send(client, {"do": "lock", "name": "board", "by": str(number), "seconds": self.seconds})
        while not _hear(client).get("locked"):
            pass

    def wait_for(self, number: int) -> None:
        """Until its job has begun."""
        mark, until = f"{number} ", time.monotonic() + 30
        while time.monotonic() < until and not any(line.startswith(mark) for line in self.noted()):
            time.sleep(0.005)

    def noted(self) -> list[str]:
        """What jobs have noted."""
        file = self.folder / "noted"
        return file.read_text(encoding="ascii").splitlines() if file.exists() else []


def run(*, small: bool) -> list[Table]:
    """A thousand leases; `small`: 6."""
    with tempfile.TemporaryDirectory() as folder:
        result = many(6 if small else LEASES, Path(folder) / "board", seconds=SECONDS)
    notes = [
        f"{result.leases} leases of one device by {CLIENTS} clients at a time: {result.overlaps} jobs overlapped.",
        f"{result.asleep} holders fell asleep (SIGSTOP): {result.taken_over} were taken over. A lease lasts "
        f"{SECONDS} s here (60 s in the product), and who ends a holder gives it a second to clean up.",
    ]
    figures = {"leases": str(result.leases), "overlaps": str(result.overlaps), "taken_over": str(result.taken_over)}
    return [Table("Who has the device", _COLUMNS, result.rows, notes, figures)]


def many(count: int, folder: Path, *, seconds: float, seed: int = 0) -> Result:
    """So many leases of `seconds` in random order; DeviceError where a sleeping holder was not taken over in time."""
    (folder / "locks").mkdir(parents=True)
    drawn = random.Random(seed).choices([*_ENDS], [*_ENDS.values()], k=count)  # noqa: S311
    ends = dict(enumerate(drawn))
    ends[0], ends[count - 1] = "ends well", "falls asleep"  # the last to come wakes whoever sleeps; some do in any case
    all_ = _Many(folder, [*ends], ends, seconds)
    threads = [threading.Thread(target=all_.work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_.numbers.append(-1)
    all_.ends[-1] = "ends well"
    all_.hold(-1)  # so that also the last one is waited for by somebody
    for number, client in all_.sleeping:
        try:
            client.wait(30)
        except subprocess.TimeoutExpired:
            client.kill()
            raise DeviceError(f"holder {number} fell asleep and was not taken over") from None
        _close(client)
    return _result(all_, count)


def _result(all_: _Many, count: int) -> Result:
    spans: dict[int, tuple[float, float]] = {}
    for line in all_.noted():
        number, moment = int(line.split()[0]), float(line.split()[1])
        spans[number] = (min(spans.get(number, (moment,))[0], moment), moment)
    order = sorted((begin, last, number) for number, (begin, last) in spans.items())
    overlaps = sum(later[0] < earlier[1] for earlier, later in pairwise(order))
    waits: dict[str, list[float]] = {}
    for earlier, later in pairwise(order):
        waits.setdefault(all_.ends[earlier[2]], []).append(later[0] - earlier[1])
    taken = {number for number, client in all_.sleeping if client.returncode is not None}
    counts = Counter(all_.ends[number] for number in spans if number >= 0)
    rows = [
        {
            "end": end,
            "leases": counts[end],
            "taken": sum(all_.ends[number] == end for number in taken),
            "wait": sorted(waits.get(end, [0.0]))[len(waits.get(end, [0.0])) // 2],
            "longest": max(waits.get(end, [0.0])),
        }
        for end in _ENDS
    ]
    had = len(spans) - 1 + len([number for number in all_.lost if number not in spans])
    return Result(min(had, count), overlaps, len(all_.sleeping), len(taken), rows)


def _send(client: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert client.stdin is not None
    client.stdin.write(json.dumps(request).encode() + b"\n")
    client.stdin.flush()


def _hear(client: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert client.stdout is not None
    answer: dict[str, Any] = json.loads(client.stdout.readline())
    return answer


def _close(client: subprocess.Popen[bytes]) -> None:
    assert client.stdin is not None
    assert client.stdout is not None
    with suppress(BrokenPipeError):
        client.stdin.close()
    client.wait(30)
    client.stdout.close()
