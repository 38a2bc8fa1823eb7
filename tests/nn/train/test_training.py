"""Fitting: the schedule's end points, which parameters decay, and the same bytes for the same seed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn.checkpoint import WEIGHTS
from edgebuild.nn.train import batches, kept, losses, machine, optimizers, training
from edgebuild.nn.train.taught import lesson
from edgebuild.spec.cores import Cores
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.steps.techniques.distill import Distill
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


@pytest.mark.parametrize("module", [nn.Linear(3, 2).requires_grad_(False), nn.Flatten()])
def test_a_module_of_which_nothing_is_learnt_is_refused(module: nn.Module) -> None:
    loss = losses.supervised([CLASSES], 0.0)
    with pytest.raises(UsageError, match="nothing is learnt: every parameter of the model is frozen"):
        training.fit(module, data(), loss, Training(epochs=1), sparse=(), progress=lambda *_, **__: None)


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
    groups = optimizers.optimizer(nn.Linear(3, 2).parameters(), Training(weight_decay=0.1)).param_groups
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


def test_adamw_takes_the_place_of_sgd_and_decays_the_same_parameters() -> None:
    how = Training(optimizer="adamw", weight_decay=0.1, epochs=10, learning_rate=0.1)
    built = optimizers.optimizer(nn.Linear(3, 2).parameters(), how)
    assert isinstance(built, torch.optim.AdamW)
    assert [group["weight_decay"] for group in built.param_groups] == [0.1, 0.0]
    loss = losses.supervised([CLASSES])
    inputs, labels = batches.tensors(data())
    assert loss(fitted(how), inputs, labels).item() < 0.8 * loss(fitted(replace(how, epochs=1)), inputs, labels).item()


def worse_and_worse(count: int = 40) -> Split:
    """Validation that contradicts what is learnt."""
    split = data(count)
    return Split(split.inputs, (1 - split.labels[0],))


def test_training_ends_when_validation_gets_no_better_and_leaves_the_best_epoch() -> None:
    how = Training(epochs=20, batch_size=10, learning_rate=0.1, patience=3)
    steps: list[int] = []
    torch.manual_seed(7)
    module = nn.Linear(3, 2)
    loss = losses.supervised([CLASSES])
    training.fit(
        module, data(), loss, how, sparse=(), validation=worse_and_worse(),
        progress=lambda *_, step=0, **__: steps.append(step),
    )  # fmt: skip
    assert max(steps) <= 4 * 4, "one epoch that is best, three that are worse, of four steps each"
    first = fitted(replace(how, epochs=1, patience=None))
    at_first = loss(first, *batches.tensors(worse_and_worse())).item()
    assert loss(module, *batches.tensors(worse_and_worse())).item() < 1.1 * at_first


def test_a_gradient_is_clipped_to_its_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
            grads = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
            norms.append(float(torch.stack(grads).norm()))
            super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Spy)
    fitted(Training(epochs=1, batch_size=10))
    assert max(norms) > 0.2
    norms.clear()
    fitted(Training(epochs=1, batch_size=10, clip=0.1))
    assert max(norms) == pytest.approx(0.1, rel=1e-3)


def folded(depth: int, width: int) -> tuple[nn.Sequential, nn.Sequential, Split]:
    """A trained network with batch norms, the same with these folded as exporters do, and its examples."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 256)
    values = rng.normal(size=(4, 6))[labels] * 2 + rng.normal(size=(256, 6))
    split = Split((values.astype(np.float32),), (labels,))
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Linear(width if number else 6, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
    normed = nn.Sequential(*layers, nn.Linear(width, 4))
    how = Training(epochs=8, batch_size=32, learning_rate=0.05, weight_decay=5e-4)
    training.fit(normed, split, losses.supervised([CLASSES]), how, sparse=(), progress=lambda *_, **__: None)
    plain: list[nn.Module] = []
    for number in range(depth):
        linear, norm = normed[3 * number], normed[3 * number + 1]
        plain += [nn.utils.fuse_linear_bn_eval(linear, norm), nn.ReLU()]  # type: ignore[type-var]
    return normed, nn.Sequential(*plain, copy.deepcopy(normed[-1])), split


def test_a_network_whose_norms_were_folded_holds_at_the_default_rate_of_distill_because_gradients_are_clipped() -> None:
    teacher, student, split = folded(20, 32)
    loss = lesson([CLASSES], "soft", 0.1, 4.0, [teacher])

    def end(clip: float | None, seed: int) -> float:
        how = replace(Distill().training, batch_size=32, clip=clip, seed=seed)
        module = copy.deepcopy(student)
        with suppress(UsageError):
            training.fit(module, split, loss, how, sparse=(), progress=lambda *_, **__: None)
            return loss(module, *batches.tensors(split)).item()
        return math.inf

    assert max(end(Distill().clip, seed) for seed in range(2)) < 0.2
    assert max(end(None, seed) for seed in range(2)) > 0.5, "it forgets what it knew, or its loss is no number any more"


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_training_that_diverges_starts_again_at_a_tenth_of_the_rate_and_says_so(restarts: int) -> None:
    """A parabola of curvature 100, which gradient descent climbs at 0.1 and descends at 0.01."""
    module = nn.Linear(1, 1, bias=False)

    def loss(module: nn.Module, inputs: tuple[torch.Tensor, ...], labels: tuple[torch.Tensor, ...]) -> torch.Tensor:
        value: torch.Tensor = 50 * module(torch.ones(1, 1)).pow(2).sum()
        return value

    def run() -> list[str]:
        how = Training(epochs=20, batch_size=4, learning_rate=1.0, weight_decay=0)
        return training.fit(
            module, data(), loss, how, sparse=(), progress=lambda *_, **__: None, restarts=restarts
        )  # fmt: skip

    if restarts < 2:
        with pytest.raises(UsageError, match="training diverged: the loss is (nan|inf) at step"):
            run()
    else:
        assert run() == ["the learning rate 1 let the loss grow beyond all numbers: 0.01 was taken"]
        assert abs(module.weight.item()) < 1e-3


class Killed(Exception):
    """What stands for a kill: nothing after it runs."""


OPTIONS = {
    "sgd": Training(epochs=6, batch_size=8, learning_rate=0.1),
    "averaged": Training(epochs=6, batch_size=8, learning_rate=0.1, averaging="ema"),
    "adamw, stopped early": Training(epochs=6, batch_size=8, learning_rate=0.1, optimizer="adamw", patience=2),
}


@pytest.mark.parametrize("at", [1, 5, 17])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    """Also where dropout, augmentation and pruned zeros have a part in it."""
    monkeypatch.setattr(kept, "_LEAST", 0.0)
    monkeypatch.setattr(kept, "_SHARE", 0)
    taken: list[int] = []

    def run(folder: Path | None, killed_at: int | None = None) -> list[torch.Tensor]:
        torch.manual_seed(7)
        module = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
        module[0].weight.data[0, 0] = 0  # type: ignore[index, union-attr]
        taken.clear()

        def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            taken.append(1)
            if len(taken) == killed_at:
                raise Killed
            return x + 0.1 * torch.randn(x.shape, generator=generator)

        training.fit(
            module, data(), losses.supervised([CLASSES]), OPTIONS[name], sparse=[module[0].weight],  # type: ignore[list-item]
            augment=augment, progress=lambda *_, **__: None, validation=data(24), folder=folder,
        )  # fmt: skip
        return list(module.state_dict().values())

    whole = run(None)
    total = len(taken)
    with pytest.raises(Killed):
        run(tmp_path, at + 1)
    resumed = run(tmp_path)
    assert len(taken) == total - at, "what was done is not done again"
    assert all(map(torch.equal, whole, resumed))
    (tmp_path / "training.pt").write_bytes(b"torn")
    assert all(map(torch.equal, whole, run(tmp_path)))
    assert len(taken) == total


def test_several_threads_compute_where_a_batch_is_work_enough_and_hold_the_cores() -> None:
    example, held = (torch.zeros(1, 64),), []

    class Shared(Cores):
        def more(self, most: int) -> AbstractContextManager[int]:  # type: ignore[override]
            held.append(most)
            return nullcontext(most)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for batch, count in ((10, 1), (10**6, 3)):
            with machine.threads(nn.Linear(64, 64), example, batch, Shared()) as threads:
                assert threads == torch.get_num_threads() == count
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert held == [0, 2]
