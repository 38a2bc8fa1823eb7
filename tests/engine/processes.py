"""Looks for processes that should be gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing.forkserver import _forkserver  # type: ignore[attr-defined]
from pathlib import Path


def eventually(true: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it becomes true: no test depends on how fast the machine is."""
    end = time.monotonic() + seconds
    while not (good := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(good)


def marked(mark: str) -> set[str]:
    """The living processes, by their commands, that have `mark` in them."""
    return {f"{pid} {command}" for pid in _pids() if mark in (command := _command(pid)) and _parent(pid)}


def forks() -> set[int]:
    """The processes below the fork server of this one: the steps that run and all that they started."""
    root = _forkserver._forkserver_pid
    return below(root) if root else set()


def below(root: int) -> set[int]:
    """The living processes that `root` or its children started, without itself."""
    parents = {pid: _parent(pid) for pid in _pids()}
    found, grew = {root}, True
    while grew:
        more = {pid for pid, above in parents.items() if above in found}
        grew = not more <= found
        found |= more
    return found - {root}


def alive(pid: int) -> bool:
    return _parent(pid) != 0


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    """The parent's id; 0 for a process that has ended."""
    try:
        state, above = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state == "Z" else int(above)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
