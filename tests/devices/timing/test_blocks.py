"""Blocks that the device disturbed are void and repeated, up to a bound."""

from __future__ import annotations

from typing import Any

import pytest

from edgebuild.devices.timing.blocks import MOST_VOID, Block, Blocks, run_blocks, why_void
from edgebuild.devices.timing.process import UnitProcess

PI = {"machine": "aarch64", "governor": "performance", "frequency_khz": 1_500_000, "temperature_c": 55.0,
      "throttle": "0x0", "affinity": [0, 1, 2, 3]}  # fmt: skip
PC = PI | {"machine": "x86_64", "throttle": None}


def block(before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, base: Any = None) -> Block:
    """One process on a board in these states."""
    state = base or PI
    return (UnitProcess({}, {}, {}, None, None, state | (before or {}), state | (after or {})),)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({}, {}, None),
        ({}, {"throttle": "0x4"}, "the device throttled (0x4)"),
        ({"throttle": "0x1"}, {}, "the device throttled (0x1)"),
        ({"throttle": "0x50000"}, {"throttle": "0x50000"}, None),  # long ago
        ({}, {"throttle": "0x40000"}, "the device throttled (0x40000)"),  # between the two looks
        ({}, {"frequency_khz": 1_475_000}, None),
        ({}, {"frequency_khz": 1_465_000}, "its clock fell from 1500 to 1465 MHz"),
        ({"frequency_khz": 600_000}, {"frequency_khz": 600_000}, "its clock fell from 1500 to 600 MHz"),
        ({"temperature_c": 56.9}, {"temperature_c": 70.0}, None),  # what it does meanwhile is its own
        (
            {"temperature_c": 57.1},
            {},
            "it started at 57.1 °C, the first block at 55.0 °C (give the device a longer cooldown)",
        ),
        (
            {"temperature_c": 52.9},
            {},
            "it started at 52.9 °C, the first block at 55.0 °C (give the device a longer cooldown)",
        ),
        ({}, {"governor": "powersave"}, "governor changed from performance to powersave"),
        ({"affinity": [0]}, {"affinity": [0]}, "affinity changed from [0, 1, 2, 3] to [0]"),
        (dict.fromkeys(PI), dict.fromkeys(PI), None),  # it does not tell
    ],
)
def test_what_voids_a_block_on_a_board(before: dict[str, Any], after: dict[str, Any], reason: str | None) -> None:
    assert why_void(block(before, after), block()) == reason


def test_every_process_of_a_block_counts() -> None:
    assert why_void((*block(), *block({}, {"throttle": "0x4"})), block()) == "the device throttled (0x4)"


def test_a_pc_changes_its_clock_and_temperature_all_the_time() -> None:
    moved = block({"temperature_c": 80.0}, {"frequency_khz": 800_000}, PC)
    assert why_void(moved, block(base=PC)) is None


def test_void_blocks_are_repeated_and_do_not_count() -> None:
    """Every second block throttles: four that count take eight."""
    ran: list[int] = []
    asked: list[int] = []

    def run(number: int) -> Block:
        ran.append(number)
        return block({}, {"throttle": "0x4" if number % 2 else "0x0"})

    def decide(blocks: Blocks) -> bool:
        asked.append(len(blocks.done))
        return False

    found = run_blocks(run, decide, (2, 4))
    assert (ran, asked) == ([*range(7)], [2, 4])
    assert (len(found.done), len(found.voided), found.void) == (4, 3, None)
    assert all(process.after["throttle"] == "0x0" for (process,) in found.done)


def test_after_too_many_it_is_given_up_with_the_reason() -> None:
    found = run_blocks(lambda number: block({}, {"throttle": "0x4"} if number else {}), lambda _: False, (10,))
    assert len(found.voided) == MOST_VOID + 1
    assert len(found.done) == 1
    assert found.void == "11 blocks were void, the last because the device throttled (0x4)"


def test_where_no_block_counts_there_is_still_something_to_look_at() -> None:
    found = run_blocks(lambda _: block({}, {"throttle": "0x4"}), lambda _: False, (10,))
    assert len(found.done) == MOST_VOID + 1
    assert found.void
