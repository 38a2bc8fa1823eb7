"""One virtual environment a peer, made once: peers pin versions that cannot live together."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edgebuild.spec.errors import UsageError

HERE = Path(__file__).resolve().parent


def cache() -> Path:
    """Where environments and builds of this benchmark are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgebuild" / "benchmarks" / "peers"


def python(peer: Path) -> Path:
    """The interpreter of the environment of a peer's folder; CalledProcessError when its packages cannot be had.

    A peer that needs another Python than ours names its version in `.python-version`; UsageError where it is not here.
    """
    wanted = peer / "requirements.txt"
    folder = cache() / f"{peer.name}-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    ready = folder / "ready"
    if not ready.is_file():
        subprocess.run([_base(peer), "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)]
        subprocess.run(command, check=True)
        ready.touch()
    return folder / "bin" / "python"


def _base(peer: Path) -> str:
    other = peer / ".python-version"
    if not other.is_file():
        return sys.executable
    version = other.read_text(encoding="utf-8").strip()
    interpreter = shutil.which(f"python{version}")
    if interpreter is None:
        raise UsageError(f"{peer.name} needs Python {version}", hint=f"put python{version} on PATH")
    return interpreter
