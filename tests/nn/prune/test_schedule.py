"""Schedules: the shares that the papers' formulas give, and rounds that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.train import losses
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.steps.techniques.prune_weights import PruneWeights
from tests import tiny


def test_the_shares_of_the_rounds() -> None:
    assert Schedule().shares() == [1]
    assert Schedule("iterative", 4, 1).shares() == [0.25, 0.5, 0.75, 1]
    # Zhu & Gupta 2017, equation 1: s_f + (s_i − s_f)(1 − t/n)³ with s_i = 0, s_f = 1
    assert Schedule("cubic", 4, 1).shares() == pytest.approx([1 - 27 / 64, 1 - 8 / 64, 1 - 1 / 64, 1])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("one-shot", 3, 1), "one-shot pruning has one round, not 3"),
        (("cubic", 1, 1), "cubic pruning has two rounds or more, not 1"),
        (("iterative", 3, 0), "3 rounds with no epochs between them are one"),
    ],
)
def test_contradictions_are_refused(given: tuple[str, int, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["arrows", "centre"])
def test_models_that_answer_values_are_fine_tuned_by_their_own_loss(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    made: tiny.Made = request.getfixturevalue(name)
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}

    def loss(folder: Path) -> float:
        data = dataset.read(made["data"], "test")
        with torch.no_grad():
            values = tuple(torch.from_numpy(np.array(x)) for x in data.inputs)
            given = checkpoint.load(folder).module(*values)
        labels = torch.from_numpy(np.array(data.labels[0]))
        return float(losses.of_labels(dataset.heads(made["data"]), (given,), (labels,)))

    step = PruneWeights(ratio=0.8, criterion="random")
    bare = tiny.perform(step, tmp_path / "bare", {"model": inputs["model"]})
    tuned = replace(step, schedule=Schedule("iterative", 2, 4, batch_size=32, learning_rate=0.1))
    assert loss(tiny.perform(tuned, tmp_path / "tuned", inputs)) < 0.8 * loss(bare)
    with pytest.raises(
        UsageError, match="budget: a budget is one of accuracy, which a model for (regression|embedding) has not"
    ):
        tiny.perform(PruneWeights(budget=0.01), tmp_path / "budget", inputs)
