"""Counts read back, and time modelled from them."""

import json

import pytest

from edgebuild.devices.emulation.counted import cycles, least, parse
from edgebuild.devices.emulation.mca import words
from edgebuild.spec.errors import DeviceError

NOP, RET = "d503201f", "d65f03c0"


def _totals(region: int, instructions: int) -> dict[str, object]:
    caches = {name: {"accesses": 10**6, "misses": 10**5} for name in ("l1i", "l1d", "l2")}
    return {"region": region, "instructions": instructions, "classes": {"integer": instructions}, "caches": caches}


def _write(path, regions=(1000, 900), threads=1, last=True):
    lines = []
    for number, instructions in enumerate(regions):
        lines.append(_totals(number, instructions))
        lines += [{"region": number, "executions": instructions // 4, "code": NOP + RET}] * 2
    if last:
        lines.append({"regions": len(regions), "threads": threads})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_blocks_with_the_same_code_are_added(tmp_path):
    first, second = parse(_write(tmp_path / "counts"))
    assert first.blocks == {NOP + RET: 500}
    assert first.covered == 1.0
    assert least([first, second]) is second


@pytest.mark.parametrize("cut", [2, 30, 200])
def test_counts_cut_short_are_refused(tmp_path, cut):
    path = _write(tmp_path / "counts")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DeviceError):
        parse(path)


def test_counts_without_their_last_line_are_refused(tmp_path):
    with pytest.raises(DeviceError, match="end early"):
        parse(_write(tmp_path / "counts", last=False))


def test_counts_over_several_threads_are_refused(tmp_path):
    with pytest.raises(DeviceError, match="over 5 threads"):
        parse(_write(tmp_path / "counts", threads=5))


def test_absent_counts_are_refused(tmp_path):
    with pytest.raises(DeviceError, match="no readable counts"):
        parse(tmp_path / "counts")


def test_a_block_is_cut_into_words():
    assert words(NOP + RET) == [NOP, RET]


def test_llvm_mca_answers_for_every_block_even_unknown_words(emulator):
    blocks = {NOP * 3: 2, "ffffffff" + RET: 1, "4f811000" * 4: 10}
    known: dict[str, float] = {}
    total = cycles(blocks, "cortex-a72", emulator.llvm_mc, emulator.llvm_mca, known)
    assert total == pytest.approx(sum(known[f"cortex-a72:{code}"] * count for code, count in blocks.items()))
    assert known["cortex-a72:" + "4f811000" * 4] == pytest.approx(40, rel=0.1)  # four chained fmla of 10 cycles


def test_an_unknown_core_is_refused(emulator):
    with pytest.raises(DeviceError, match="no-such-core"):
        cycles({NOP: 1}, "no-such-core", emulator.llvm_mc, emulator.llvm_mca)
