"""A counted inference, divided among its operators by a second run of it in which the runtime profiled itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgebuild.devices.emulation.counted import CacheCount, Region
from edgebuild.devices.emulation.mca import words


def divided(parts: Sequence[Region], whole: Region) -> tuple[Region, ...]:
    """Each part as far as it is work that the whole does too, so that all of them together are no more than it.

    A profile costs work of its own (clocks, texts, memory for them), in parts and between them. A block that the parts
    execute more often than the whole is theirs in proportion, and one that the whole lacks is the profile's. Misses are
    in proportion where there are more of them than in the whole. No instructions are divided by class.
    """
    often: Counter[str] = Counter()
    for part in parts:
        often.update(part.blocks)
    kept = {code: min(1.0, whole.blocks.get(code, 0) / count) for code, count in often.items() if count}
    missed = {name: sum(part.caches[name].misses for part in parts) for name in whole.caches}
    within = {name: min(1.0, each.misses / max(missed[name], 1)) for name, each in whole.caches.items()}
    return tuple(_of_whole(part, kept, within) for part in parts)


def _of_whole(part: Region, kept: dict[str, float], within: dict[str, float]) -> Region:
    blocks = {code: int(count * kept.get(code, 0.0)) for code, count in part.blocks.items()}
    blocks = {code: count for code, count in blocks.items() if count}
    caches = {name: CacheCount(each.accesses, int(each.misses * within[name])) for name, each in part.caches.items()}
    return Region(sum(len(words(code)) * count for code, count in blocks.items()), {}, caches, blocks)
