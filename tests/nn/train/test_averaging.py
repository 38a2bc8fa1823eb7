"""The mean of weights along a training and of several trainings: what is in it, and that validation decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn.train import soup, statistics
from edgebuild.nn.train.averaging import Averaged
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Averaging, Training
from edgebuild.spec.rows import Split
from tests.nn.train.test_training import data, fitted


def seen(how: Averaging, values: list[float], per_epoch: int = 1) -> Averaged:
    """After a training whose one weight has these values, step by step."""
    module, mean = nn.Linear(1, 1, bias=False), Averaged(how, len(values), per_epoch)
    for step, value in enumerate(values, 1):
        nn.init.constant_(module.weight, value)
        mean.see(step, module)
    return mean


def test_an_exponential_mean_forgets_its_first_steps() -> None:
    expected = 1.0
    for count, value in enumerate((3.0, 5.0), 1):
        share = 1 - (1 + count) / (10 + count)
        expected += share * (value - expected)
    assert seen("ema", [1.0, 3.0, 5.0]).mean["weight"].item() == pytest.approx(expected)


def test_swa_is_the_mean_of_the_ends_of_the_last_quarter_of_the_epochs() -> None:
    mean = seen("swa", [float(step) for step in range(1, 17)], per_epoch=2)  # 8 epochs, of which two count
    assert (mean.count, mean.mean["weight"].item()) == (2, 15.0)  # after steps 14 and 16
    assert seen(None, [1.0, 2.0]).mean == {}


@pytest.mark.parametrize("how", ["ema", "swa"])
def test_the_mean_is_taken_only_where_validation_does_not_say_that_it_is_worse(how: Averaging) -> None:
    lines: list[str] = []
    for epochs in (1, 12):  # at first the mean lags behind; over noisy steps it is better
        training = Training(epochs=epochs, batch_size=10, learning_rate=0.5, averaging=how)
        module, line = noted(training)
        lines.append(line)
        with_mean, without = (float(part.split()[0].rstrip(",;")) for part in line.split("loss ")[1].split("and "))
        plain = fitted(Training(epochs=epochs, batch_size=10, learning_rate=0.5))
        same = all(torch.equal(a, b) for a, b in zip(module.parameters(), plain.parameters(), strict=True))
        assert ("left out" in line) == (without < with_mean)
        assert same == ("left out" in line) or with_mean == without
    assert any("left out" not in line for line in lines)


def noted(how: Training) -> tuple[nn.Linear, str]:
    """The module, and the line about the mean; `fitted` of the other tests gives no lines."""
    from edgebuild.nn.train import losses, training
    from tests.nn.train.test_training import CLASSES

    torch.manual_seed(7)
    module = nn.Linear(3, 2)
    (line,) = training.fit(
        module, data(), losses.supervised([CLASSES]), how, sparse=(), progress=lambda *_, **__: None, validation=data()
    )
    return module, line


def test_statistics_are_those_of_the_examples_whatever_they_were() -> None:
    x = np.random.default_rng(0).normal(3, 2, (512, 4)).astype(np.float32)
    norm = nn.BatchNorm1d(4)
    norm.running_mean += 50  # type: ignore[operator]
    statistics.estimate(norm, Split((x,), (np.zeros(512, np.int64),)))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    np.testing.assert_allclose(norm.running_mean.numpy(), x.mean(0), atol=1e-4)
    np.testing.assert_allclose(norm.running_var.numpy(), x.var(0), rtol=0.05)
    assert (norm.momentum, norm.training) == (0.1, False)


def states(*values: float) -> list[dict[str, torch.Tensor]]:
    return [{"weight": torch.full((1, 1), value)} for value in values]


def away_from(goal: float):  # type: ignore[no-untyped-def]
    return lambda module, mixed: abs(module.weight.item() - goal)


def test_a_greedy_soup_takes_in_what_does_not_make_it_worse() -> None:
    module = nn.Linear(1, 1, bias=False)
    cooked = soup.cook(module, states(4.0, 1.0, 0.5, 9.0), "greedy", away_from(0.76))
    assert cooked.taken == (1, 2)  # the mean, 0.75, is nearer than either, and farther with 4 or 9
    assert cooked.loss <= min(cooked.alone)
    assert cooked.loss == pytest.approx(abs(module.weight.item() - 0.76))


def test_a_uniform_soup_that_is_worse_than_the_best_alone_gives_way_to_it() -> None:
    module = nn.Linear(1, 1, bias=False)
    assert soup.cook(module, states(1.0, 3.0), "uniform", away_from(2.0)).taken == (0, 1)
    assert module.weight.item() == 2
    worse = soup.cook(module, states(1.0, 3.0), "uniform", away_from(1.1))
    assert (worse.taken, module.weight.item()) == ((0,), 1)
    assert worse.line("uniform", ("a", "b"), 9).endswith("by 9 validation examples: a, loss 0.1; a alone 0.1")


def test_counts_are_not_averaged_and_unlike_structures_are_refused() -> None:
    counted = [{"n": torch.tensor(3), "w": torch.ones(2)}, {"n": torch.tensor(5), "w": torch.zeros(2)}]
    assert {name: each.tolist() for name, each in soup.mean(counted).items()} == {"n": 3, "w": [0.5, 0.5]}
    with pytest.raises(UsageError, match=r"'b' is another network than 'a': 'w' is \[3\] there, and \[2\] here"):
        soup.check(("a", "b"), [counted[0], {"n": torch.tensor(1), "w": torch.ones(3)}])
    with pytest.raises(UsageError, match="'b' is another network than 'a': only one of them has 'w'"):
        soup.check(("a", "b"), [counted[0], {"n": torch.tensor(1)}])
