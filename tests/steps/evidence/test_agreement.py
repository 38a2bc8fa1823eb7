"""Whether device and host agree: bit for bit, in every answer, or how far they may differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from edgebuild.gates.statistics.paired import differing_bound
from edgebuild.spec import drawing, evidence
from edgebuild.spec.evidence import ONLY, Differences
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head
from edgebuild.steps.evidence.agreement import Agreement, compare
from tests import tiny
from tests.steps.evidence import folders

CLASSES = TASKS.get("classification")()
HOST = np.random.default_rng(0).permutation(5000).reshape(500, 10).astype(np.float32)


def test_equal_outputs_differ_in_nothing() -> None:
    assert compare([HOST], [HOST.copy()], CLASSES) == Differences(
        identical=True, distinct=5000, max_abs=0.0, values_differing=0, answers_differing=0
    )


def test_noise_in_the_last_bit_changes_values_and_no_answer() -> None:
    device = np.nextafter(HOST, np.float32(np.inf))
    differences = compare([device], [HOST], CLASSES)
    assert (differences.identical, differences.answers_differing, differences.values_differing) == (False, 0, 5000)
    assert 0 < differences.max_abs < 1e-3


def test_one_differing_bit_is_not_identical() -> None:
    device = HOST.copy()
    device[17, 3] = np.nextafter(device[17, 3], np.float32(np.inf))
    assert (compare([device], [HOST], CLASSES).identical, compare([device], [HOST], CLASSES).values_differing) == (
        False,
        1,
    )


def test_answers_are_compared_by_their_largest_value() -> None:
    device = HOST.copy()
    device[:25] = np.roll(device[:25], 1, axis=1)
    assert compare([device], [HOST], CLASSES).answers_differing == 25


def test_a_device_that_always_answers_the_same_shows_in_the_distinct_values() -> None:
    constant = np.zeros((500, 10), np.float32)
    assert compare([constant], [constant], CLASSES).distinct == 1


@pytest.mark.parametrize("n", [1, 10, 500, 2000])
def test_with_none_differing_the_bound_is_the_closed_form(n: int) -> None:
    assert differing_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-12)
    assert differing_bound(n, n) == 1.0


@pytest.mark.parametrize(("differing", "n"), [(1, 20), (3, 500), (250, 500), (499, 500)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_bound_is_scipys_exact_binomial_limit(differing: int, n: int, confidence: float) -> None:
    exact = binomtest(differing, n, alternative="less").proportion_ci(confidence, method="exact")
    assert differing_bound(differing, n, confidence) == pytest.approx(exact.high, rel=1e-9)


@pytest.mark.parametrize(("differing", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(differing: int, n: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        differing_bound(differing, n)


def test_the_step_compares_the_first_examples_and_keeps_the_devices_origin(tmp_path: Path) -> None:
    inputs = {
        "device": folders.outputs(tmp_path / "device", HOST[drawing.chosen(500, 200)], "emulated"),
        "host": folders.outputs(tmp_path / "host", HOST, "host"),
    }
    agreement = folders.read(
        evidence.Agreement, tiny.perform(Agreement(heads=(Head(ONLY, "classification"),)), tmp_path / "out", inputs)
    )
    assert (agreement.n, agreement.of, agreement.whole) == (200, 500, False)
    assert agreement.outputs[ONLY].identical
    assert agreement.origin.fidelity == "emulated"


def test_the_step_knows_when_every_example_ran(tmp_path: Path) -> None:
    inputs = {
        "device": folders.outputs(tmp_path / "device", HOST, "emulated"),
        "host": folders.outputs(tmp_path / "host", HOST, "host"),
    }
    agreement = folders.read(
        evidence.Agreement, tiny.perform(Agreement(heads=(Head(ONLY, "classification"),)), tmp_path / "out", inputs)
    )
    assert (agreement.n, agreement.of, agreement.whole) == (500, 500, True)
