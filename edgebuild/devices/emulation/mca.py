"""Cycles that a core needs for a basic block, by llvm-mca's model of that core's pipelines.

llvm-mca simulates the block repeating without end, every load hitting the first-level cache and every branch
predicted; what memory costs beyond that is added by counted.py.
"""

import json
import re
from collections.abc import Collection, Iterable, MutableMapping
from pathlib import Path

from edgebuild.devices.emulation import host
from edgebuild.devices.emulation.commands import run
from edgebuild.spec.errors import DeviceError

_WORD = 8  # hex digits
_ITERATIONS = 100
_BATCH = 500  # blocks per invocation: start-up costs more than one block, errors stay small
_NOP = "nop"
_ENCODED = re.compile(r"^\s*(?P<text>[^/\n]+?)\s*// encoding: \[(?P<bytes>[0-9a-fx,]+)\]", re.MULTILINE)


def block_cycles(
    blocks: Collection[str],
    mcpu: str,
    llvm_mc: Path,
    llvm_mca: Path,
    known: MutableMapping[str, float] | None = None,
) -> dict[str, float]:
    """Cycles per execution of each block when it repeats.

    Args:
        blocks: blocks as hex text, eight digits for each instruction word.
        mcpu: LLVM's name of the core.
        llvm_mc: LLVM's disassembler.
        llvm_mca: LLVM's analyser; its libraries lie in `../lib`.
        known: results kept between calls, keyed `<mcpu>:<block>`; new ones are added.

    Raises:
        DeviceError: a tool fails or does not know `mcpu`.
    """
    known = {} if known is None else known
    missing = sorted({block for block in blocks if f"{mcpu}:{block}" not in known})
    texts = _disassemble({word for block in missing for word in words(block)}, llvm_mc) if missing else {}
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        for block, cycles in zip(batch, _analyse(batch, texts, mcpu, llvm_mca), strict=True):
            known[f"{mcpu}:{block}"] = cycles
    return {block: known[f"{mcpu}:{block}"] for block in blocks}


def words(block: str) -> list[str]:
    """The instruction words of a block, in hex."""
    return [block[at : at + _WORD] for at in range(0, len(block), _WORD)]


def _disassemble(encoded: Iterable[str], llvm_mc: Path) -> dict[str, str]:
    """Assembler text of each word; what LLVM does not know (none so far) is left out."""
    lines = [" ".join(f"{byte:#04x}" for byte in bytes.fromhex(word)[::-1]) for word in sorted(encoded)]
    command = [*host.command(llvm_mc), "-triple=aarch64", "-mattr=+all", "-disassemble", "-show-encoding"]
    listing = run(command, what="disassembler", stdin="\n".join(lines) + "\n")
    return {_word(match["bytes"]): match["text"].replace("\t", " ") for match in _ENCODED.finditer(listing)}


def _word(listed: str) -> str:
    """`0x1f,0x20,0x03,0xd5` (little-endian) as `d503201f`."""
    return bytes(int(byte, 16) for byte in listed.split(","))[::-1].hex()


def _analyse(blocks: list[str], texts: dict[str, str], mcpu: str, llvm_mca: Path) -> list[float]:
    source = "".join(_region(index, block, texts) for index, block in enumerate(blocks))
    command = [*host.command(llvm_mca), "-mtriple=aarch64", f"-mcpu={mcpu}", "-mattr=+all"]
    command += [
        f"-iterations={_ITERATIONS}",
        "-json",
        "-instruction-info=0",
        "-resource-pressure=0",
        "-skip-unsupported-instructions=lack-sched",
    ]
    listing = run(command, what=f"llvm-mca for {mcpu}", stdin=source)
    summaries = {int(each["Name"]): each["SummaryView"] for each in json.loads(listing)["CodeRegions"]}
    if len(summaries) != len(blocks):
        raise DeviceError(f"llvm-mca for {mcpu}: {len(summaries)} answers for {len(blocks)} blocks")
    return [summaries[index]["TotalCycles"] / summaries[index]["Iterations"] for index in range(len(blocks))]


def _region(index: int, block: str, texts: dict[str, str]) -> str:
    lines = "\n".join(texts.get(word, _NOP) for word in words(block))
    return f"# LLVM-MCA-BEGIN {index}\n{lines}\n# LLVM-MCA-END {index}\n"
