"""Every way to plan keys wrongly that is written down is seen by a test of keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plan.mutants import MUTANTS, Mutant, copy, unseen


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests, where all that is planned right is seen to be right."""
    folder = copy(tmp_path_factory.mktemp("mutants") / "copy")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/plan/test_keys.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.left_out}")
def test_a_test_of_keys_sees_it(root: Path, mutant: Mutant) -> None:
    assert unseen(mutant, root) is None
