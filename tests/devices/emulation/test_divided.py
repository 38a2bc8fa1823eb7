"""Work of a profiled inference, as far as it is the inference's."""

from __future__ import annotations

from edgebuild.devices.emulation.counted import CacheCount, Region
from edgebuild.devices.emulation.divided import divided

KERNEL, SHARED, CLOCK = "0" * 16, "1" * 8, "2" * 8


def region(misses: int, **blocks: int) -> Region:
    """Of blocks by the names above."""
    code = {globals()[name.upper()]: count for name, count in blocks.items()}
    return Region(0, {"load": 1}, {"l2": CacheCount(100, misses)}, code)


def test_a_profiles_own_work_is_left_out_and_parts_are_no_more_than_the_whole() -> None:
    whole = region(30, kernel=1000, shared=30)
    parts = (region(10, clock=500), region(40, kernel=600, shared=40, clock=9), region(10, kernel=400, shared=20))
    nothing, larger, smaller = divided(parts, whole)
    assert (nothing.blocks, nothing.instructions) == ({}, 0)
    assert larger.blocks == {KERNEL: 600, SHARED: 20}
    assert smaller.blocks == {KERNEL: 400, SHARED: 10}
    assert (larger.instructions, larger.covered) == (1220, 1.0)
    assert [each.caches["l2"].misses for each in (nothing, larger, smaller)] == [5, 20, 5]


def test_what_a_profile_does_not_add_to_stays_as_it_is() -> None:
    (part,) = divided([region(3, kernel=5)], region(9, kernel=8))
    assert (part.blocks, part.caches["l2"].misses) == ({KERNEL: 5}, 3)


def test_a_kernel_that_another_library_cuts_into_other_blocks_is_found_by_its_instructions() -> None:
    loop, head, tail = "aaaaaaaabbbbbbbbcccccccc", "aaaaaaaabbbbbbbb", "cccccccc"
    whole = Region(3000, {}, {}, {loop: 1000})
    parts = [Region(0, {}, {}, {head: 600, tail: 600}), Region(0, {}, {}, {head: 400, tail: 400, CLOCK: 90})]
    first, second = divided(parts, whole)
    assert (first.instructions, second.instructions) == (1800, 1200)
    assert CLOCK not in second.blocks
