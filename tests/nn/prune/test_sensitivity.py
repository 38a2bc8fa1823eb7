"""The scan, and the ratios that a budget buys, on layers whose cost is written down here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn.prune import sensitivity
from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.spec.errors import UsageError
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head

GRID = (0.25, 0.5, 0.75)
COSTS = {"tough": (0.0, 0.001, 0.004), "soft": (0.002, 0.05, 0.2), "odd": (0.01, 0.0, 0.3)}


def trial(ratios: Mapping[str, float]) -> Quality:
    """Costs add up, and doubled where two layers are pruned; a layer alone costs loss but not one example."""
    costs = [COSTS[layer][GRID.index(ratio)] for layer, ratio in ratios.items() if ratio]
    return Quality(0.9 - (2 * sum(costs) if len(costs) > 1 else 0), 0.5 + sum(costs))


def test_the_scan_prunes_each_layer_alone() -> None:
    found = sensitivity.scan([*COSTS], trial, GRID)
    assert found.whole == Quality(0.9, 0.5)
    assert [quality.loss for quality in found.alone["soft"].values()] == pytest.approx([0.502, 0.55, 0.7])


def test_a_layer_is_pruned_up_to_the_first_ratio_that_costs_more() -> None:
    found = sensitivity.scan([*COSTS], trial, GRID)
    assert found.ratios(0.0041) == {"tough": 0.75, "soft": 0.25, "odd": 0.0}  # not 0.5, which costs nothing again
    assert found.ratios(0.0) == {"tough": 0.25, "soft": 0.0, "odd": 0.0}


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        (0.0001, {"tough": 0.5, "soft": 0.0, "odd": 0.0}),  # alone it costs no example
        (0.0065, {"tough": 0.5, "soft": 0.25, "odd": 0.0}),  # 2·(0.001 + 0.002)
        (0.0125, {"tough": 0.75, "soft": 0.25, "odd": 0.5}),  # 2·(0.004 + 0.002 + 0)
    ],
)
def test_the_whole_stays_within_the_budget(budget: float, wanted: dict[str, float]) -> None:
    found = sensitivity.scan([*COSTS], trial, GRID)
    ratios = sensitivity.choose(found, budget, trial)
    assert ratios == wanted
    assert found.whole.accuracy - trial(ratios).accuracy <= budget


def test_a_budget_that_buys_nothing_is_refused() -> None:
    def harsh(ratios: Mapping[str, float]) -> Quality:
        return Quality(0.9 - 0.1 * len(ratios), 0.5 + 0.1 * len(ratios))

    found = sensitivity.scan(["soft"], harsh, GRID)
    with pytest.raises(UsageError, match=r"no layer can be pruned within 1 pp of 90.00 % accuracy"):
        sensitivity.choose(found, 0.01, harsh)


def test_quality_is_the_share_of_right_answers_and_the_mean_cross_entropy() -> None:
    x = 2 * torch.eye(3)[torch.arange(600) % 3].numpy()  # rows of ones and zeros would be probabilities
    labels = (np.arange(600) % 3).astype(np.int64)
    labels[:60] = (labels[:60] + 1) % 3
    found = sensitivity.measure(nn.Identity(), Split((x,), (labels,)), [Head("output", "classification")])
    assert found.accuracy == pytest.approx(0.9)
    assert found.loss == pytest.approx(
        np.log(np.e**2 + 2) - 1.8
    )  # −ln(e²/(e²+2)) for the right, −ln(1/(e²+2)) otherwise
