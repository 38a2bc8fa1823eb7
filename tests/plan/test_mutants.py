"""Every way to plan keys wrongly that is written down is seen by a test of keys."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import ROOT
from tests.plan.mutants import MUTANTS


@pytest.fixture(scope="module")
def reasons() -> list[str | None]:
    """For each mutant None where it was seen, from one process that has tried them all."""
    command = [sys.executable, "-m", "tests.plan.mutants", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.stdout, done.stderr[-3000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("index", range(len(MUTANTS)), ids=[f"{one.file}: {one.left_out}" for one in MUTANTS])
def test_a_test_of_keys_sees_it(reasons: list[str | None], index: int) -> None:
    assert reasons[index] is None
