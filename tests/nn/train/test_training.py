"""Fitting: the schedule's end points, which parameters decay, and the same bytes for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn.checkpoint import WEIGHTS
from edgebuild.nn.train import batches, losses, optimizers, training
from edgebuild.spec.dataset import Split
from edgebuild.spec.model import Training
from edgebuild.spec.signature import Head
from tests import tiny

CLASSES = Head("output", "classification")


def data(count: int = 40) -> Split:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    return Split(((rng.normal(size=(count, 3)) + labels[:, None]).astype(np.float32),), (labels,))


def fitted(how: Training, count: int = 40, **options: object) -> nn.Linear:
    torch.manual_seed(7)
    module = nn.Linear(3, 2)
    loss = losses.supervised([CLASSES], how.label_smoothing)
    training.fit(module, data(count), loss, how, sparse=(), progress=lambda *_, **__: None, **options)  # type: ignore[arg-type]
    return module


def test_the_rate_rises_from_zero_to_its_peak_and_falls_to_zero_along_half_a_cosine() -> None:
    assert optimizers.rate(0) == 0
    assert optimizers.rate(0.075) == pytest.approx(0.5)
    assert optimizers.rate(0.15) == pytest.approx(1)
    assert optimizers.rate(0.575) == pytest.approx(0.5)  # half of the way from 0.15 to 1
    assert optimizers.rate(1) == pytest.approx(0, abs=1e-12)
    falling = [optimizers.rate(0.15 + 0.85 * k / 100) for k in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_the_optimiser_follows_the_schedule_from_its_first_to_its_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Spy)
    fitted(Training(epochs=10, batch_size=10, learning_rate=0.5))
    assert len(rates) == 40
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.5 * 0.5 * (1 + math.cos(math.pi * (39 / 40 - 0.15) / 0.85)))


def test_weights_decay_and_biases_do_not() -> None:
    groups = optimizers.optimizer(nn.Linear(3, 2), Training(weight_decay=0.1)).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [(0.1, [2]), (0.0, [1])]


def test_label_smoothing_is_what_the_paper_says() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
    log_p = np.log(np.exp([2, -1, 0.5]) / np.exp([2, -1, 0.5]).sum())
    by_hand = -(0.9 * log_p[0] + 0.1 * log_p.mean())  # Szegedy et al. 2016, section 7
    found = losses.supervised([CLASSES], 0.1)(nn.Identity(), (logits,), (labels,))
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


def test_the_seed_decides_and_nothing_else() -> None:
    weights = [fitted(Training(epochs=3, batch_size=8, seed=seed)).weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_another_process_trains_the_same_bytes(made: tiny.Made, elsewhere: tiny.Made) -> None:
    for artifact in ("float", "distilled"):
        here, there = ((of[artifact] / WEIGHTS).read_bytes() for of in (made, elsewhere))
        assert here == there


def test_every_epoch_takes_full_batches_in_a_new_order() -> None:
    split = Split((np.arange(10, dtype=np.float32)[:, None],), (np.arange(10),))
    how = Training(epochs=2, batch_size=4)
    order = batches.Order(len(split), how, torch.Generator().manual_seed(0))
    rows = [order.at(step).tolist() for step in range(batches.steps(split, how))]
    assert [len(batch) for batch in rows] == [4, 4, 4, 4]
    first, second = rows[0] + rows[1], rows[2] + rows[3]
    assert len({*first}) == len({*second}) == 8
    assert first != second


def test_augmentation_sees_the_first_input_and_the_seeded_generator() -> None:
    seen: list[float] = []

    def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(float(torch.rand(1, generator=generator)))
        return x + 1

    fitted(Training(epochs=1, batch_size=20), augment=augment)
    fitted(Training(epochs=1, batch_size=20), augment=augment)
    assert seen[:2] == seen[2:]


def test_progress_ends_at_one(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    training.fit(
        nn.Linear(3, 2), data(), losses.supervised([CLASSES], 0), Training(epochs=3, batch_size=7),
        sparse=(), progress=lambda done, note, **_: told.append((done, note)),
    )  # fmt: skip
    assert told[-1][0] == 1
    assert told[-1][1].startswith("loss ")
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_zeros_of_sparse_parameters_stay_zero_and_the_others_learn(decay: float) -> None:
    torch.manual_seed(7)
    first, second = nn.Linear(3, 8), nn.Linear(8, 2)
    zero = torch.rand(8, 3) < 0.5
    first.weight.data[zero] = 0
    second.weight.data[0, 0] = 0
    before = first.weight.detach().clone()
    how = Training(epochs=3, batch_size=8, learning_rate=0.1, weight_decay=decay)
    loss, sparse = losses.supervised([CLASSES], 0), [first.weight]
    training.fit(nn.Sequential(first, second), data(), loss, how, sparse=sparse, progress=lambda *_, **__: None)
    assert torch.equal(first.weight == 0, zero)
    assert not torch.signbit(first.weight[zero]).any()
    assert (first.weight != before)[~zero].all()
    assert second.weight[0, 0] != 0
