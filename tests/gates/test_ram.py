"""RAM: the file and its activations together, in bytes or of what the target has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebuild.gates.ram import Ram
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate, Hardware
from edgebuild.spec.units import exact_bytes, parse_bytes
from tests import measured


def judge(limit: str, file: int, arena: int) -> Verdict:
    both = measured.footprint(measured.weight(file), measured.weight(4 * file))
    return Ram().judge(Gate("ram", limit), replace(both, arena=measured.arena(arena, arena)))


def test_file_and_activations_count_together_to_the_last_byte() -> None:
    assert judge("1 MiB", 2**20 - 2**16, 2**16).status == "pass"
    verdict = judge("1 MiB", 2**20 - 2**16, 2**16 + 1)
    assert (verdict.status, verdict.estimate, verdict.fidelity) == ("fail", 2**20 + 1, "hardware")
    assert judge("1 MiB", 2**20, 2**20).reason.endswith("; 100.0% too much")


@pytest.mark.parametrize(
    ("share", "ram", "limit"),
    [("100 %", 4 * 2**30, "4 GiB"), ("50 %", 2**30, "512 MiB"), ("25 %", 10**9, "250 MB"), ("64 KiB", None, "64 KiB")],
)
def test_a_share_is_of_the_hardwares_memory(share: str, ram: int | None, limit: str) -> None:
    assert Ram.on_hardware(share, Hardware("aarch64", "cortex-a72", ram=ram)) == limit
    assert Ram.applies(Hardware("aarch64", "cortex-a72", ram=ram)) is (ram is not None)


def test_a_share_of_nothing_and_more_than_all_are_refused() -> None:
    with pytest.raises(ValueError, match="no `ram` in \\[hardware\\]"):
        Ram.on_hardware("50 %", Hardware("aarch64", "cortex-a72"))
    with pytest.raises(ValueError, match="below 100 %"):
        Ram.on_hardware("120 %", Hardware("aarch64", "cortex-a72", ram=2**30))


@pytest.mark.parametrize("count", [1, 1000, 1024, 3 * 2**20, 123_456_789, 6 * 2**30, 5 * 10**9])
def test_bytes_are_written_so_that_they_read_back_exactly(count: int) -> None:
    assert parse_bytes(exact_bytes(count)) == count
