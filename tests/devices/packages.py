"""What tests need beyond Python's packages: brought by `scripts/test-packages`, or the test is skipped."""

from __future__ import annotations

import subprocess
from functools import cache

import pytest

from tests import ROOT

CANNOT_BE_HAD = 3  # as scripts/test-packages exits


@cache
def _packages(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/test-packages", *words], capture_output=True, text=True, timeout=600)


def packages(*words: str) -> None:
    """What Python's packages do not bring; where it cannot be had the test is skipped, and says what would help."""
    done = _packages(*words)
    if done.returncode == CANNOT_BE_HAD:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
