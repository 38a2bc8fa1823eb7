"""What can be followed goes, whatever stands beside it: on networks whose channels take hard ways."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgebuild.nn.prune import importance, proof, units
from edgebuild.nn.prune.channels import Inventory, inventory
from edgebuild.nn.prune.dependencies import numbers_of
from edgebuild.nn.prune.slicing import silenced
from edgebuild.nn.prune.trace.follow import Traced
from edgebuild.nn.train import losses
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head
from tests.nn.hard_nets import NETS, Gain, Gated, Subpixel
from tests.nn.nets import lively

# What goes of each network; all else makes an output.
GO = {
    "option A": {"stem.0", "blocks.0.conv1.0", "blocks.1.conv1.0", "blocks.2.conv1.0"},
    "doubled": {"stem.0", "twice.0", "dense.0", "inner"},
    "subpixel": {"stem.0", "wide", "last.0"},
    "gain": {"first", "second"},
    "shuffle": {"stem.0", "one.0", "last.0"},
    "split": {"stem.0", "first.0", "inner.0", "last.0"},
    "gated": {"first", "second", "third"},
    "squeezed": {"stem.0", "wide.0", "narrow", "inner"},
    "recurrent": {"first", "lstm", "inner"},
}


def built(name: str) -> tuple[nn.Module, tuple[torch.Tensor]]:
    torch.manual_seed(0)
    make, shape = NETS[name]
    return lively(make()), (torch.zeros(1, *shape),)


def gone(found: Inventory) -> list[tuple[units.Units, list[int]]]:
    """Every second unit of all that can go."""
    return [(one, [*range(0, len(one.members), 2)]) for one in found.units]


@pytest.fixture(scope="module", params=NETS)
def found(request: pytest.FixtureRequest) -> tuple[str, nn.Module, tuple[torch.Tensor], Inventory]:
    """A network and its inventory."""
    module, example = built(request.param)
    return request.param, module, example, inventory(module, example, [], 1)


Found = tuple[str, nn.Module, tuple[torch.Tensor], Inventory]


def test_every_layer_but_the_last_can_lose_channels(found: Found) -> None:
    name, _, _, taken = found
    assert {one.name for one in taken.units} == GO[name]
    assert taken.whole == {"head": "it makes an output"}
    assert not taken.unfollowed


def test_what_is_left_answers_as_the_whole_with_the_same_channels_silenced(found: Found) -> None:
    _, module, example, taken = found
    chosen = gone(taken)
    pruned, silent = copy.deepcopy(module), copy.deepcopy(module)
    taken.remove(pruned, chosen)
    gone_numbers = numbers_of([(one.group, numbers) for one, numbers in chosen])
    for batch in (1, 2, 5):
        x = torch.randn(batch, *example[0].shape[1:], generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            whole, given = module(x), pruned(x)
            with silenced(silent, taken.proven.dependencies.traced, gone_numbers):
                wanted = silent(x)
        assert given.isfinite().all()
        assert torch.allclose(given, wanted, atol=1e-4 * float(wanted.abs().max()))
        assert not torch.allclose(given, whole, atol=1e-2 * float(whole.abs().max()))
    count = [sum(p.numel() for p in net.parameters()) for net in (pruned, module)]
    assert count[0] < count[1]


def test_importances_are_finite_and_differ_wherever_a_layer_reads_a_part(found: Found) -> None:
    _, module, example, taken = found
    x = torch.randn(32, *example[0].shape[1:], generator=torch.Generator().manual_seed(0)).numpy()
    data = importance.Split((x,), (torch.arange(32).numpy() % 4,))
    loss = losses.supervised([Head("output", "classification")])
    for name in ("magnitude", "taylor", "mean_activation", "stability"):
        subject = importance.Subject(module, lambda: data, lambda: loss, 2, 0)
        scores = units.scored(taken.units, importance.criterion(name, subject))  # type: ignore[arg-type]
        assert scores
        assert all(bool(score.isfinite().all()) for score in scores.values())
        if name != "stability":  # ranks may be the same in every draw
            assert all(len({*score.tolist()}) > 1 for score in scores.values())


def test_a_gated_layer_loses_value_and_gate_together() -> None:
    module, example = built("gated")
    (second,) = (one for one in inventory(module, example, [], 1).units if one.name == "second")
    assert [*second.members] == [(k, 32 + k) for k in range(32)]
    assert isinstance(module, Gated)


def test_bare_parameters_lose_channels_and_not_columns() -> None:
    module, example = built("gain")
    assert isinstance(module, Gain)
    taken = inventory(module, example, [], 1)
    taken.remove(module, [(one, range(8)) for one in taken.units])
    assert (module.slope.weight.shape, module.gain.shape, module.places.shape) == ((8,), (1, 8, 1, 1), (1, 8, 4, 4))


def test_a_layer_that_is_kept_is_no_notice() -> None:
    module, example = built("subpixel")
    assert isinstance(module, Subpixel)
    taken = inventory(module, example, [module.wide], 1)
    assert taken.whole["wide"] == "named in keep"
    assert not taken.unfollowed


def test_what_could_go_once_can_go_again_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    module, example = built("gated")
    first = inventory(module, example, [], 1)
    monkeypatch.setattr(proof.trial, "prepared", None)
    again = first.remove(module, [(one, range(4)) for one in first.units])
    assert [(one.name, len(one.members)) for one in again.units] == [
        (one.name, len(one.members) - 4) for one in first.units
    ]
    assert [*next(one.members for one in again.units if one.name == "second")][5] == (5, 33)
    last = again.remove(module, [(one, [0, 7]) for one in again.units])
    assert {len(one.members) + 6 for one in last.units} == {len(one.members) for one in first.units}
    x = torch.randn(3, *example[0].shape[1:])
    assert module(x).shape == (3, 4)


class Untraceable(nn.Module):
    """No gradient leads from its output to a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no way")


def test_a_model_that_cannot_be_traced_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="the model's channels cannot be traced: RuntimeError: no way"):
        inventory(Untraceable(), (torch.zeros(1, 4),), [], 1)


class Branching(nn.Module):
    """What it does depends on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.head(-y if y.sum() > 0 else y)


def test_control_flow_that_depends_on_data_is_refused_with_the_line_that_it_stands_in() -> None:
    line = inspect.getsourcelines(Branching.forward)[1] + 2
    with pytest.raises(UsageError) as caught:
        inventory(Branching(), (torch.zeros(1, 4),), [], 1)
    assert f"(test_channels.py:{line})" in caught.value.line
    assert "\n" not in caught.value.line


class Roles(nn.Module):
    """One weight that makes channels, reads them, and does both the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.both, self.head = nn.Linear(4, 8), nn.Parameter(torch.randn(8, 8)), nn.Linear(8, 2)
        self.narrow = nn.Parameter(torch.randn(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        z = torch.relu(y @ self.both) @ self.both.T + functional.linear(y, self.both)
        return self.head(z) @ self.narrow[:2] @ self.narrow.T  # read in part, and made of what the output is made of


def test_a_weight_of_unlike_roles_loses_the_same_of_each_or_stays() -> None:
    net, example = Roles().eval(), (torch.zeros(1, 4),)
    stock = inventory(net, example, [], 1)
    assert [(one.name, len(one.members)) for one in stock.units] == [("first", 8), ("narrow", 8)]
    stock.remove(net, [(stock.units[0], [1, 5]), (stock.units[1], [0])])
    assert (net.both.shape, net.first.out_features, net.head.in_features) == ((6, 6), 6, 6)
    assert net.narrow.shape == (8, 7)  # its rows are an output
    assert net(torch.randn(3, 4)).shape == (3, 8)


class Taken(nn.Module):
    """Three channels whose number the code takes for that of three others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        return self.head(self.second(y).reshape(y.shape))


def test_a_width_that_the_code_takes_for_anothers_is_found_out_however_few_there_are() -> None:
    stock = inventory(Taken().eval(), (torch.zeros(1, 4),), [], 1)
    assert not stock.units
    assert all("the model does not run" in why for name, why in stock.whole.items() if name != "head")


@pytest.mark.parametrize("net", [Taken(), nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))])
def test_nothing_is_tried_twice(monkeypatch: pytest.MonkeyPatch, net: nn.Module) -> None:
    tried: list[tuple[frozenset[int], frozenset[object]]] = []
    take_out = proof.take_out

    def noted(module: nn.Module, traced: Traced, gone: set[int], corrections: list[object]) -> None:
        tried.append((frozenset(gone), frozenset(corrections)))
        take_out(module, traced, gone, corrections)

    monkeypatch.setattr(proof, "take_out", noted)
    inventory(net.eval(), (torch.zeros(1, 4),), [], 1)
    assert tried
    assert len({*tried}) == len(tried)


@pytest.mark.parametrize("sizes", [[2] * 9, [3] * 9, [5, 5, 2, 5, 3, 2], [32] * 70])
def test_any_two_groups_of_one_size_lose_another_number_in_some_draw(sizes: list[int]) -> None:
    draws = proof._Draws(sizes)
    lost = [tuple(len(draws.units(place, draw)) for draw in range(1, draws.count)) for place in range(len(sizes))]
    for size in {*sizes}:
        alike = [one for one, other in zip(lost, sizes, strict=True) if other == size]
        assert len({*alike}) == len(alike)
    assert all(0 < len(draws.units(place, 0)) < size for place, size in enumerate(sizes))
