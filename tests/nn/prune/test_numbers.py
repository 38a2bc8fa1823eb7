"""Channel numbers: what is united, split and protected, and that doubt makes more go together, never less."""

from __future__ import annotations

import random
from functools import partial
from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebuild.nn.prune.trace.fate import fate
from edgebuild.nn.prune.trace.numbers import Numbers


def goes(numbers: Numbers, ids: np.ndarray) -> list[frozenset[int]]:
    return [numbers.atoms(number) for number in ids.tolist()]


def test_what_is_united_goes_together_and_what_is_protected_takes_the_reason_along() -> None:
    numbers = Numbers()
    one, other, third = numbers.fresh(3), numbers.fresh(3), numbers.fresh(3)
    numbers.unite(one, other, "add")
    numbers.protect(other[1:2], "it makes an output")
    numbers.unite(one, third, "mul")
    assert goes(numbers, one) == goes(numbers, other) == goes(numbers, third)
    assert [numbers.why(int(k)) for k in third] == [None, "it makes an output", None]


def test_meeting_what_is_fixed_says_where() -> None:
    numbers = Numbers()
    ids = numbers.fresh(2)
    numbers.unite(ids, numbers.fixed("the input 'x'", 2), "cat (net.py:7)")
    assert numbers.why(int(ids[0])) == "it meets the input 'x' in cat (net.py:7)"
    assert numbers.all_protected(ids)


def test_an_axis_that_falls_into_two_goes_by_either_and_comes_back_as_itself() -> None:
    numbers = Numbers()
    ids, heads, places = numbers.fresh(6), numbers.fresh(2), numbers.fresh(3)
    numbers.factor(ids.reshape(2, 3), [heads, places], "view")
    assert numbers.atoms(int(ids[4])) == {int(heads[1]), int(places[1])}
    again = numbers.compose([np.repeat(heads, 3), np.tile(places, 2)])
    assert goes(numbers, again) == goes(numbers, ids)
    numbers.protect(places, "softmax")
    assert goes(numbers, ids) == [{int(heads[k // 3])} for k in range(6)]
    numbers.protect(ids[:1], "it makes an output")
    assert numbers.why(int(heads[0])) == "it makes an output"
    assert numbers.why(int(heads[1])) is None


def test_axes_that_are_split_twice_go_by_the_same_parts() -> None:
    numbers = Numbers()
    ids = numbers.fresh(6)
    first, second = ((numbers.fresh(2), numbers.fresh(3)) for _ in range(2))
    numbers.factor(ids.reshape(2, 3), first, "view")
    numbers.factor(ids.reshape(2, 3), second, "view")
    for one, other in zip(first, second, strict=True):
        assert goes(numbers, one) == goes(numbers, other)


def test_definitions_that_do_not_fit_make_one_number_of_all() -> None:
    numbers = Numbers()
    ids = numbers.fresh(8)
    numbers.factor(ids.reshape(2, 4), [numbers.fresh(2), numbers.fresh(4)], "view")
    numbers.factor(ids.reshape(2, 2, 2), [numbers.fresh(2) for _ in range(3)], "view")
    assert len({*goes(numbers, ids)}) == 1


def test_a_number_that_is_part_of_itself_goes_with_all_its_parts() -> None:
    numbers = Numbers()
    ids, heads, places = numbers.fresh(4), numbers.fresh(2), numbers.fresh(2)
    numbers.factor(ids.reshape(2, 2), [heads, places], "view")
    numbers.unite(ids[:1], heads[:1], "add")
    assert numbers.atoms(int(ids[0])) == numbers.atoms(int(places[0])) == numbers.atoms(int(heads[0]))
    assert numbers.atoms(int(heads[1])) != numbers.atoms(int(heads[0]))


def test_a_part_that_never_goes_decides_nothing() -> None:
    numbers = Numbers()
    ids, heads, places, groups = (numbers.fresh(count) for count in (6, 2, 3, 6))
    numbers.factor(ids.reshape(2, 3), [heads, places], "view")
    numbers.factor(ids.reshape(6, 1), [groups, numbers.fresh(1)], "conv2d")
    assert goes(numbers, groups) == goes(numbers, ids)
    assert not any(numbers.is_protected(int(number)) for number in (*heads, *places))


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
def test_what_goes_is_what_is_made_of_any_number_that_was_chosen(seed: int) -> None:
    draw = random.Random(seed)
    numbers = Numbers()
    axes = [numbers.fresh(12)]

    def check() -> None:
        atoms = sorted({*chain.from_iterable(chain(*map(partial(goes, numbers), axes)))})
        chosen = {*draw.sample(atoms, min(3, len(atoms)))}
        ends = fate(numbers, chosen)
        for ids in axes:
            expected = [k for k, those in enumerate(goes(numbers, ids)) if not those.isdisjoint(chosen)]
            assert ends.places(ids).tolist() == expected
            assert ends.rest(ids).tolist() == np.delete(ids, expected).tolist()

    for _ in range(12):
        one, other = draw.choice(axes), draw.choice(axes)
        if draw.random() < 0.5:
            split = [numbers.fresh(3), numbers.fresh(4)]
            numbers.factor(one.reshape(3, 4), split, "view")
            check()
            axes.append(numbers.compose([np.tile(split[0], 4), np.repeat(split[1], 3)]))
        elif draw.random() < 0.2:
            numbers.protect(one[:2], "it makes an output")
        else:
            axes.append(numbers.fresh(12))
            numbers.unite(axes[-1], draw.choice([other, other[::-1]]), "add")
        check()
