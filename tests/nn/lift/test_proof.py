"""A lifted module is held against its file: what differs is found, whichever output and however many examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from edgebuild.nn.lift import LiftError, lift, prove
from tests.nn.lift.files import model, picture


def two_outputs(batch: int | str = "batch") -> bytes:
    """A sum of a picture's channels, and its square."""
    nodes = [
        helper.make_node("Conv", ["x", "sum.weight"], ["sums"], "conv"),
        helper.make_node("Mul", ["sums", "sums"], ["squares"]),
    ]
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "sum.weight")
    return model(nodes, [picture("x", batch, 3, 4, 4)], ["sums", "squares"], [weight])


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_lifted_file_is_equal_and_takes_several_examples(batch: int | str) -> None:
    file = two_outputs(batch)
    proof = prove(lift(file), file)
    assert proof.equal
    assert [difference.output for difference in proof.differences] == ["sums", "squares"]
    assert proof.one_at_a_time == ""


class Changed(nn.Module):
    """A lifted module whose second output goes through a function."""

    def __init__(self, change: object) -> None:
        super().__init__()
        self.inner, self.change = lift(two_outputs()), change

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        sums, squares = self.inner(x)
        return sums, self.change(squares)  # type: ignore[operator, no-any-return]


def test_the_output_that_differs_is_named_with_how_far_it_is_off() -> None:
    proof = prove(Changed(lambda y: y * 1.001), two_outputs())
    assert not proof.equal
    assert proof.worst.output == "squares"
    assert proof.worst.largest == pytest.approx(1e-3, rel=0.01)
    assert prove(Changed(lambda y: y * 1.001), two_outputs(), tolerance=2e-3).equal


@pytest.mark.parametrize("change", [lambda y: y.flatten(1), lambda y: y.double(), lambda y: y / 0])
def test_other_shapes_types_and_infinities_are_never_equal(change: object) -> None:
    assert prove(Changed(change), two_outputs()).worst.largest == math.inf


def test_the_samples_that_are_given_decide() -> None:
    module = Changed(lambda y: torch.where(y > 1e4, y + 1e4, y))
    quiet, loud = (np.full((1, 3, 4, 4), value, np.float32) for value in (1, 100))
    assert prove(module, two_outputs(), [(quiet,)]).equal
    assert not prove(module, two_outputs(), [(quiet,), (loud,)]).equal


def test_a_module_for_one_example_says_so() -> None:
    broken = prove(Changed(lambda y: y.reshape(1, 2, 4, 4)), two_outputs())
    assert broken.equal
    assert "does not run" in broken.one_at_a_time
    mixed = prove(Changed(lambda y: y.flip(0)), two_outputs())
    assert "as with each alone" in mixed.one_at_a_time


def test_whole_numbers_are_drawn_from_the_vocabulary_and_compared_exactly() -> None:
    table = numpy_helper.from_array(np.arange(40, dtype=np.float32).reshape(10, 4), "words.weight")
    ids = helper.make_tensor_value_info("ids", 7, ["batch", 30])
    nodes = [
        helper.make_node("Gather", ["words.weight", "ids"], ["rows"]),
        helper.make_node("ArgMax", ["rows"], ["y"], axis=-1, keepdims=0),
    ]
    file = model(nodes, [ids], ["rows", "y"], [table])
    module = lift(file)
    assert type(module.get_submodule("words")) is nn.Embedding
    assert prove(module, file).equal
    module.get_submodule("words").weight.data[7] = 0  # seen only where all ten numbers are drawn
    assert not prove(module, file).equal


def test_a_file_that_does_not_run_is_refused() -> None:
    with pytest.raises(LiftError, match="ONNX Runtime does not run it"):
        prove(lift(two_outputs()), two_outputs(), [(np.zeros((1, 7, 4, 4), np.float32),)])
