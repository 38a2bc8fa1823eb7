"""A counted inference, divided among its operators by a second run of it in which the runtime profiled itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from edgebuild.devices.emulation.counted import CacheCount, Region
from edgebuild.devices.emulation.mca import words


def divided(parts: Sequence[Region], whole: Region) -> tuple[Region, ...]:
    """Each part as far as it is work that the whole does too, so that all of them together are no more than it.

    A profile costs work of its own (clocks, texts, memory for them), in parts and between them. A block that the parts
    execute more often than the whole is theirs in proportion. What is left of both is compared by instruction words,
    for the same kernel in another library is cut into other blocks where a page ends within; what the whole lacks then
    is the profile's. Misses are in proportion where there are more of them than in the whole. No instructions are
    divided by class.
    """
    often: Counter[str] = Counter()
    for part in parts:
        often.update(part.blocks)
    alike = {code: min(1.0, whole.blocks.get(code, 0) / count) for code, count in often.items() if count}
    lacking = _words({code: count - often[code] * alike.get(code, 0.0) for code, count in whole.blocks.items()})
    unlike = _words({code: often[code] * (1 - share) for code, share in alike.items()})
    shares = {word: min(1.0, lacking.get(word, 0.0) / count) for word, count in unlike.items() if count}
    kept = {code: share + (1 - share) * _mean(code, shares) for code, share in alike.items()}
    missed = {name: sum(part.caches[name].misses for part in parts) for name in whole.caches}
    within = {name: min(1.0, each.misses / max(missed[name], 1)) for name, each in whole.caches.items()}
    return tuple(_of_whole(part, kept, within) for part in parts)


def _words(blocks: Mapping[str, float]) -> Mapping[str, float]:
    """How often each instruction word is executed."""
    often: dict[str, float] = {}
    for code, count in blocks.items():
        if count > 0:
            for word in words(code):
                often[word] = often.get(word, 0.0) + count
    return often


def _mean(code: str, shares: Mapping[str, float]) -> float:
    return fmean(shares.get(word, 0.0) for word in words(code))


def _of_whole(part: Region, kept: dict[str, float], within: dict[str, float]) -> Region:
    blocks = {code: int(count * kept.get(code, 0.0)) for code, count in part.blocks.items()}
    blocks = {code: count for code, count in blocks.items() if count}
    caches = {name: CacheCount(each.accesses, int(each.misses * within[name])) for name, each in part.caches.items()}
    return Region(sum(len(words(code)) * count for code, count in blocks.items()), {}, caches, blocks)
