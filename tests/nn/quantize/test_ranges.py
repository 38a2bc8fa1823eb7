"""Tensors of an exported file are recognized by their values alone."""

from __future__ import annotations

import numpy as np

from edgebuild.nn.quantize.ranges import match

rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 60))


def test_order_shape_padding_and_float_error_do_not_matter() -> None:
    padded = np.pad(A, ((0, 0), (0, 0), (1, 1), (0, 0))).transpose(0, 2, 3, 1)
    noisy = B * (1 + 1e-6)
    assert match({"a": A, "b": B}, {"1": padded, "2": noisy.reshape(4, 30), "3": A}) == {
        "1": ("a", 1),
        "2": ("b", 1),
        "3": ("a", 1),
    }


def test_other_values_and_zeros_match_nothing() -> None:
    other = A.copy()
    other[0, 0, 0, 0] += 0.1
    assert match({"a": A, "z": np.zeros(5)}, {"1": other, "2": np.zeros(5), "3": np.empty(0), "4": -A}) == {}


def test_of_two_that_are_near_the_nearer_is_taken_and_of_equals_the_first() -> None:
    assert match({"near": A * (1 + 5e-5), "same": A, "again": A}, {"1": A}) == {"1": ("same", 1)}


def test_a_multiple_is_taken_where_nothing_is_the_same_and_only_of_many_values() -> None:
    ((name, factor),) = match({"b": B, "a": A}, {"1": 0.25 * A}).values()
    assert (name, round(factor, 9)) == ("a", 0.25)
    assert match({"a": A, "twice": 2 * A}, {"1": 2 * A}) == {"1": ("twice", 1)}
    assert match({"few": A.ravel()[:4]}, {"1": 3 * A.ravel()[:4]}) == {}
