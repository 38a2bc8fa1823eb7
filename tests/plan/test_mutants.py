"""Every way to plan keys wrongly that is written down is seen by a test of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.mutants import MUTANTS, Mutant, copy, unseen
from tests.plan.mutants import test as run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests, where all that is planned right is seen to be right."""
    folder = copy(tmp_path_factory.mktemp("mutants") / "copy")
    done = run(folder)
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.left_out}")
def test_a_test_of_keys_sees_it(root: Path, mutant: Mutant) -> None:
    assert unseen(mutant, root) is None
