"""One virtual environment a peer, made once: peers pin versions that cannot live together."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def cache() -> Path:
    """Where environments and builds of this benchmark are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgebuild" / "benchmarks" / "peers"


def python(peer: Path) -> Path:
    """The interpreter of the environment of a peer's folder; CalledProcessError when its packages cannot be had."""
    wanted = peer / "requirements.txt"
    folder = cache() / f"{peer.name}-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    ready = folder / "ready"
    if not ready.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)]
        subprocess.run(command, check=True)
        ready.touch()
    return folder / "bin" / "python"
