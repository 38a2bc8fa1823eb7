"""Which commit a project is at, for the history: unknown is an answer, never an error."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 10


def at(root: Path) -> dict[str, str | bool] | None:
    """The commit's id and whether files that git knows have changed since; None outside of a repository."""
    identity = _git(root, "rev-parse", "HEAD")
    if identity is None:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"id": identity.strip(), "changed": bool(changed)}


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
