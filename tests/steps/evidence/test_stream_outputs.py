"""On a device that takes some examples, streams are gone through as far as it gets, and compared on what ran there."""

from __future__ import annotations

import numpy as np

from edgebuild.spec import drawing


def test_beginnings_are_equally_many_first_steps_of_each_stream() -> None:
    streams = np.repeat([4, 7, 9], [100, 10, 100])
    rows = drawing.beginnings(streams, 210, 60)
    taken = {number: np.flatnonzero(streams[rows] == number) for number in (4, 7, 9)}
    assert [len(each) for each in taken.values()] == [25, 10, 25]
    for number, places in taken.items():
        first = int(np.argmax(streams == number))
        assert rows[places].tolist() == [*range(first, first + len(places))]
    assert drawing.beginnings(streams, 210, 210).tolist() == [*range(210)]


def test_of_many_streams_some_are_drawn_so_that_what_adds_up_is_seen() -> None:
    streams = np.repeat(np.arange(50), 40)
    rows = drawing.beginnings(streams, 2000, 64)
    assert len(rows) == 64
    assert np.bincount(streams[rows])[np.unique(streams[rows])].tolist() == [16, 16, 16, 16]
