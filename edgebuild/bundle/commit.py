"""Which commit a project is at, for the history: unknown is an answer, never an error."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and whether files that git knows had changed since."""

    id: str
    changed: bool


def at(root: Path) -> Commit | None:
    """The commit that a project is at; None outside of a repository."""
    identity = _git(root, "rev-parse", "HEAD")
    if identity is None:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Commit(identity.strip(), bool(changed))


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
