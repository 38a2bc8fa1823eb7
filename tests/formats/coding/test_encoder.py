"""Downloads: every file comes back bit for bit, and pruned, shared and integer weights take fewer bytes than by xz."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgebuild.formats.coding import encoder
from edgebuild.spec.constant import Constant
from edgebuild.travels import decoder
from tests.formats.coding.contents import Array, file_of, pruned

DTYPES = st.sampled_from([np.uint8, np.int8, np.float16, np.int32, np.float32, np.int64, np.float64])
FEW = st.integers(0, 4)  # so that values repeat


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        DTYPES.flatmap(
            lambda kind: (
                arrays.arrays(kind, st.integers(1, 400), elements=FEW, fill=st.just(0))
                | arrays.arrays(kind, st.integers(1, 400))
            )
        ),
        max_size=4,
    ),
    st.binary(max_size=40),
)
def test_arrays_with_anything_between_come_back(given_arrays: list[Array], between: bytes) -> None:
    content, constants = file_of(given_arrays, between)
    assert decoder.decode(encoder.encode(content, constants)) == content


@pytest.mark.parametrize(
    "array",
    [
        pruned(0.06, 31, (300, 784)),
        pruned(0.001, 3, (200, 250)),  # gaps wider than 255
        pruned(0.4, 16, (100, 300)),  # too dense for gaps
        np.zeros((100, 200), np.float32),
        np.full((100, 200), np.nan, np.float32),
        np.random.default_rng(0).normal(size=(100, 300)).astype(np.float32),
        np.random.default_rng(0).normal(scale=20, size=(100, 300)).astype(np.int8),
        np.random.default_rng(0).normal(size=(100, 300)).astype(np.float16),
        np.arange(3000, dtype=np.int64),
    ],
    ids=["shared", "wide", "dense", "zeros", "nan", "float", "int8", "float16", "rising"],
)
def test_tensors_of_every_kind_come_back_and_are_not_larger_than_by_xz(array: Array) -> None:
    content, constants = file_of([array, array[:1]])
    coded = encoder.encode(content, constants)
    assert decoder.decode(coded) == content
    assert len(coded) <= len(lzma.compress(content, preset=9)) + 64


def test_a_pruned_tensor_with_shared_values_takes_what_its_gaps_and_indices_hold() -> None:
    """6 % of 235,200 kept: H(0.06) = 0.327 bits an element for the places, log₂ 31 = 4.95 bits for each value."""
    array = pruned(0.06, 31, (300, 784))
    content, constants = file_of([array])
    kept = int((array != 0).sum())
    p = kept / array.size
    places = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) * array.size
    bound = (places + kept * np.log2(31)) / 8
    described = 31 * 4 + 300  # the values and two tables
    assert bound * 0.99 < len(encoder.encode(content, constants)) < 1.01 * bound + described


def test_minus_zero_and_zero_are_told_apart() -> None:
    array = np.tile(np.array([0.0, -0.0, 0.0, 1.5], np.float32), 100)
    content, constants = file_of([array])
    assert decoder.decode(encoder.encode(content, constants)) == content


def test_constants_that_overlap_are_taken_once() -> None:
    content = pruned(0.2, 5, (50, 20)).tobytes()
    constants = [Constant(0, 600, 4), Constant(400, 600, 4), Constant(2400, 400, 4)]
    assert decoder.decode(encoder.encode(content, constants)) == content


@pytest.mark.parametrize("content", [b"", b"x", b"no tensor in it " * 50])
def test_a_file_without_tensors_comes_back(content: bytes) -> None:
    assert decoder.decode(encoder.encode(content, [])) == content


def test_the_same_file_gives_the_same_bytes() -> None:
    content, constants = file_of([pruned(0.1, 9, (90, 90))])
    assert encoder.encode(content, constants) == encoder.encode(content, constants)


@pytest.mark.parametrize(
    ("size", "elements", "width"),
    [(400, 100, 4), (100, 100, 1), (50, 100, 1), (300, 100, 1), (0, 0, 1), (1600, 100, 1)],
    ids=["float32", "int8", "int4", "odd", "empty", "complex"],
)
def test_elements_of_a_strange_width_are_taken_as_bytes(size: int, elements: int, width: int) -> None:
    found = Constant.of(8, size, elements)
    assert (found.width, found.end) == (width, 8 + size)
