"""`scripts/progress.py`: what a log gets of pip's output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT

SCRIPT = ROOT / "scripts" / "progress.py"
# As pip 26.3 wrote it, but for the dots.
SAID = """\
Obtaining file:///home/user/edgebuild
  Installing build dependencies: started
Collecting click>=8.1 (from edgebuild==0.1.0)
  Downloading click-8.5.1-py3-none-any.whl.metadata (2.6 kB)
  Downloading click-8.5.1-py3-none-any.whl (126 kB)
Collecting torch==2.13.0 (from edgebuild==0.1.0)
  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (526.6 MB)
Processing /here/torchao-0.18.0+cpu-py3-none-any.whl (from torch)
  Using cached nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl (1.1 GB)
"""


def told(tmp_path: Path, said: str) -> list[str]:
    (tmp_path / "lock").write_text("# of packages\nclick==8.5.1\ntorch==2.13.0\ntorchao==0.18.0\n")
    (tmp_path / "venv/lib/python3.11/site-packages/click-8.5.1.dist-info").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "lock"), str(tmp_path / "venv")]
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_a_log_tells_of_the_first_and_the_large_packages_what_they_are_and_what_was_fetched_so_far(
    tmp_path: Path,
) -> None:
    assert told(tmp_path, SAID) == [
        "  package 1 of about 3: click 8.5.1, 0.1 MB (0.00 GB so far)",
        "  package 2 of about 3: torch 2.13.0, 526.6 MB (0.53 GB so far)",
        "  package 4 of about 3: nvidia_cublas 13.1.1.3, 1100.0 MB (1.63 GB so far)",
    ]


def test_the_end_is_told_with_what_is_on_disk_but_only_of_what_was_installed(tmp_path: Path) -> None:
    assert told(tmp_path, "ERROR: no matching distribution\n") == []
    said = "Installing collected packages: torch, click\nSuccessfully installed click-8.5.1 torch-2.13.0\n"
    assert told(tmp_path, said)[-1] == "  2 packages installed, 0.0 GB on disk"
