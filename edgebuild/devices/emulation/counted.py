"""Reads the counting plugin's output, and adds up the cycles that a core's pipelines need for it."""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebuild.devices.emulation.mca import block_cycles, words
from edgebuild.spec.errors import DeviceError


@dataclass(frozen=True, slots=True)
class CacheCount:
    """Accesses to one cache, in lines of 64 bytes, and how many of them missed."""

    accesses: int
    misses: int


@dataclass(frozen=True, slots=True)
class Region:
    """What one marked region executed.

    `blocks` maps the code of each hot basic block (hex, eight digits a word) to its executions; together they hold at
    least 99.5 % of `instructions`. `caches` is empty when none were modelled.
    """

    instructions: int
    classes: Mapping[str, int]
    caches: Mapping[str, CacheCount]
    blocks: Mapping[str, int]

    @property
    def covered(self) -> float:
        """Share of the instructions that the blocks hold."""
        listed = sum(len(words(code)) * executions for code, executions in self.blocks.items())
        return listed / self.instructions if self.instructions else 1.0


def parse(path: Path) -> list[Region]:
    """The regions of a counting run, in order.

    Raises:
        DeviceError: the file is not whole, or more than one thread ran, so that counts cannot be trusted.
    """
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise DeviceError(f"{path.name}: no readable counts: {error}") from error
    if not lines or "threads" not in lines[-1]:
        raise DeviceError(f"{path.name}: counts end early; the emulated program was killed")
    if lines[-1]["threads"] != 1:
        raise DeviceError(f"{path.name}: counted over {lines[-1]['threads']} threads; counts need exactly one")
    return [_region(lines, number) for number in range(lines[-1]["regions"])]


def _region(lines: list[dict[str, object]], number: int) -> Region:
    totals, *hot = [line for line in lines if line.get("region") == number]
    blocks: dict[str, int] = {}
    for block in hot:  # the same code may lie at several addresses
        blocks[str(block["code"])] = blocks.get(str(block["code"]), 0) + _integer(block["executions"])
    caches = {name: _cache(count) for name, count in _mapping(totals["caches"]).items()}
    return Region(_integer(totals["instructions"]), _integers(totals["classes"]), caches, blocks)


def least(regions: Sequence[Region]) -> Region:
    """The region with the fewest instructions: whatever disturbs a count can only add to it."""
    return min(regions, key=lambda region: region.instructions)


def cycles(
    blocks: Mapping[str, int],
    mcpu: str,
    llvm_mc: Path,
    llvm_mca: Path,
    known: MutableMapping[str, float] | None = None,
) -> float:
    """Sum of executions times cycles over `blocks`; see mca.block_cycles for the arguments.

    Raises:
        DeviceError: LLVM's tools fail.
    """
    each = block_cycles(blocks.keys(), mcpu, llvm_mc, llvm_mca, known)
    return sum(executions * each[code] for code, executions in blocks.items())


def _cache(value: object) -> CacheCount:
    counts = _integers(value)
    return CacheCount(counts["accesses"], counts["misses"])


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise DeviceError(f"counts: {value!r} is not a number")
    return value


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DeviceError(f"counts: {value!r} is not a mapping")
    return value


def _integers(value: object) -> dict[str, int]:
    return {name: _integer(each) for name, each in _mapping(value).items()}
