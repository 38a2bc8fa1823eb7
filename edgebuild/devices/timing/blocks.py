"""Runs blocks of processes up to the look that decides; a block that the device disturbed is void and is repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgebuild.devices.timing.process import UnitProcess

MOST_VOID = 10  # blocks of one measurement that are repeated
_FALL, _NEAR_C = 0.02, 2.0
_NOW, _SINCE_START = 0xF, 0xF0000  # a Raspberry Pi's throttle bits
_SAME = ("governor", "cores", "affinity", "memory_limit", "kernel")

Block = tuple[UnitProcess, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks that count, and why others do not.  Where too many were void, `void` says that nothing is proved.

    Then, if none counts at all, `done` holds the void ones, so that there is something to look at.
    """

    done: tuple[Block, ...]
    voided: tuple[str, ...] = ()

    @property
    def void(self) -> str | None:
        """Why the measurement was given up, or None."""
        if len(self.voided) <= MOST_VOID:
            return None
        return f"{len(self.voided)} blocks were void, the last because {self.voided[-1]}"


def run_blocks(run: Callable[[int], Block], decide: Callable[[Blocks], bool], looks: Sequence[int]) -> Blocks:
    """Run blocks, numbered from 0, to the first of `looks` at which `decide` answers True, at most to the last.

    A void block is repeated; after MOST_VOID of them the measurement is given up.
    """
    done: list[Block] = []
    void: list[Block] = []
    reasons: list[str] = []
    for look in looks:
        while len(done) < look:
            block = run(len(done) + len(reasons))
            reason = why_void(block, (done or [block])[0])
            if reason is None:
                done.append(block)
                continue
            void.append(block)
            reasons.append(reason)
            if len(reasons) > MOST_VOID:
                return Blocks(tuple(done or void), tuple(reasons))
        if decide(Blocks(tuple(done), tuple(reasons))):
            break
    return Blocks(tuple(done), tuple(reasons))


def why_void(block: Block, first: Block) -> str | None:
    """Why a block may not be compared with the first one, or None; what a device does not tell is not held against it.

    Throttle bits; on boards and phones a clock that fell by over 2 % or a start over 2 °C off the first one, since
    cooling changes a Raspberry Pi 4's throughput by up to 90 %; anywhere another governor, kernel, affinity or limit of
    memory.  On a PC clock and temperature move with every neighbour, and models interleaved in a process feel it alike.
    """
    start = first[0].before
    for process in block:
        for state in (process.before, process.after):
            if changed := [name for name in _SAME if _differs(state.get(name), start.get(name))]:
                return f"{changed[0]} changed from {start[changed[0]]} to {state[changed[0]]}"
        reason = _throttled(process.before, process.after) or _cooled(process.before, process.after, start)
        if reason:
            return reason
    return None


def _differs(value: Any, expected: Any) -> bool:
    return value is not None and expected is not None and value != expected


def _throttled(before: Any, after: Any) -> str | None:
    earlier, later = (int(state.get("throttle") or "0x0", 16) for state in (before, after))
    if (earlier | later) & _NOW or later & ~earlier & _SINCE_START:
        return f"the device throttled (0x{earlier | later:x})"
    return None


def _cooled(before: Any, after: Any, start: Any) -> str | None:
    """What the clock and the temperature of a board did."""
    if not str(start.get("machine", "")).startswith(("aarch64", "arm")):
        return None
    clocks = [state["frequency_khz"] for state in (start, before, after) if state.get("frequency_khz")]
    if clocks and clocks[-1] < (1 - _FALL) * max(clocks):
        return f"its clock fell from {max(clocks) / 1000:.0f} to {clocks[-1] / 1000:.0f} MHz"
    cool, warm = start.get("temperature_c"), before.get("temperature_c")
    if cool is not None and warm is not None and abs(warm - cool) > _NEAR_C:
        return f"it started at {warm:.1f} °C, the first block at {cool:.1f} °C (give the device a longer cooldown)"
    return None
