"""A network cut in two: the halves compute what the whole does, of any batch, and hold what they need alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.restructure import exits, sites
from edgebuild.nn.restructure.exits import Cut, Exit
from edgebuild.spec.errors import UsageError
from tests import tiny
from tests.steps.techniques import nets


def halves(folder: Path, after: str) -> tuple[torch.nn.Module, torch.nn.Module, Cut, torch.nn.Module]:
    model = checkpoint.load(folder)
    cut = Cut.of(model, after)
    return cut.first(exits.head(cut.shape, Exit(after, 4, 4))), cut.rest(), cut, model.module


@pytest.mark.parametrize("after", ["stem", "blocks.0", "blocks"])
def test_both_halves_together_answer_as_the_whole(made: tiny.Made, after: str) -> None:
    first, rest, cut, whole = halves(made["pruned"], after)
    x = torch.randn(5, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    answer, features = first(x)
    assert answer.shape == (5, 4)
    assert features.shape == (5, *cut.features.shape)
    torch.testing.assert_close(rest(features), whole(x))
    names = [{*half.state_dict()} for half in (first, rest)]
    assert not names[0] & names[1]
    assert {name for name in names[0] | names[1] if not name.startswith(exits.HEAD)} == {*whole.state_dict()} - {
        name for name in whole.state_dict() if name.endswith("num_batches_tracked")
    }


def test_a_transformer_goes_on_from_any_block(tmp_path: Path) -> None:
    model = checkpoint.load(nets.save("Transformer", tmp_path / "net"))
    cut = Cut.of(model, "blocks.0")
    first, rest = cut.first(exits.head(cut.shape, Exit("blocks.0", 4, 4))), cut.rest()
    (x,) = (torch.randn(3, *one.shape[1:]) for one in model.example())
    torch.testing.assert_close(rest(first(x)[1]), model.module(x))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("blocks.7", "the model runs no module 'blocks.7'"),
        ("blocks.1.conv1", "what follows 'blocks.1.conv1' needs .* too, from before it"),
        ("head", "'head' does not give one tensor that the model goes on with"),
    ],
)
def test_a_place_where_no_exit_can_stand_is_refused(made: tiny.Made, after: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Cut.of(checkpoint.load(made["float"]), after)


def test_an_exit_that_nobody_places_stands_early(made: tiny.Made) -> None:
    model = checkpoint.load(made["float"])
    cut = Cut.of(model)
    assert cut.after == "blocks.0"  # which ends at a half
    assert sites.total(cut.first(torch.nn.Flatten()), model.example()) <= sites.total(model.module, model.example()) / 2
