"""Every way to plan keys wrongly that is written down is seen by a test of keys."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import ROOT
from tests.plan.mutants import MUTANTS

LABELS = [f"{one.file}: {one.left_out}" for one in MUTANTS]


@pytest.fixture(scope="module")
def reasons() -> list[str | None]:
    """For each mutant None where it was seen, from one process that has tried them all."""
    command = [sys.executable, "-m", "tests.plan.mutants", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.stdout, done.stderr[-3000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_each_names_a_line_that_is_there_once() -> None:
    texts = {file: (ROOT / "edgebuild" / file).read_text() for file in {one.file for one in MUTANTS}}
    assert {one.left_out: texts[one.file].count(one.old) for one in MUTANTS} == {one.left_out: 1 for one in MUTANTS}


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(MUTANTS)), ids=LABELS)
def test_a_test_of_keys_sees_it(reasons: list[str | None], index: int) -> None:
    assert reasons[index] is None
