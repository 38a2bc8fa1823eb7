"""Layouts of a tensor: gaps as Deep Compression has them, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from edgebuild.formats.coding.tensors import layouts, planes, sparse
from edgebuild.travels.decoder import CODEBOOK, SPARSE


def test_gaps_are_those_of_a_small_example() -> None:
    kept, gaps = sparse(np.array([0, 1, 0, 0, 1, 1, 0], bool))
    assert kept.tolist() == [1, 4, 5]
    assert gaps.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("at", "kept", "gaps"),
    [
        ([255], [255], [255]),  # 255 left out before it: just in reach
        ([256], [255, 256], [255, 0]),
        ([600], [255, 511, 600], [255, 255, 88]),
        ([0, 300, 301], [0, 256, 300, 301], [0, 255, 43, 0]),
        ([], [], []),
    ],
)
def test_a_wide_gap_keeps_positions_with_nothing_there(at: list[int], kept: list[int], gaps: list[int]) -> None:
    present = np.zeros(700, bool)
    present[at] = True
    found = sparse(present)
    assert (found[0].tolist(), found[1].tolist()) == (kept, gaps)


def test_planes_are_the_bytes_by_position() -> None:
    assert [plane.tolist() for plane in planes(np.array([0x0102, 0x0304], np.uint16))] == [[2, 4], [1, 3]]


def test_only_layouts_that_fit_are_offered() -> None:
    few, many = np.array([5, 7] * 50, np.uint32), np.arange(1000, dtype=np.uint32)
    some = np.where(many % 4 == 0, many, 0).astype(np.uint32)
    rare = np.where(many % 20 == 0, many, 0).astype(np.uint32)
    assert [way.flags for way in layouts(few)] == [0, CODEBOOK]
    assert [way.flags for way in layouts(many)] == [0]
    assert [way.flags for way in layouts(some)] == [0, CODEBOOK, SPARSE, SPARSE | CODEBOOK]
    assert [way.flags for way in layouts(rare)] == [SPARSE, SPARSE | CODEBOOK]
    assert next(way for way in layouts(rare) if way.flags == SPARSE).values.tolist() == [0]
