"""RAM: the file and its activations together, in bytes or of what the target has."""

from __future__ import annotations

import pytest

from edgebuild.gates.ram import Ram
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import exact_bytes, parse_bytes


def judge(limit: str, file: int, arena: int) -> Verdict:
    both = {"candidate": {"bytes": file}, "baseline": {"bytes": 4 * file}}
    evidence = {"footprint": both, "arena": {"candidate": {"bytes": arena}, "baseline": {"bytes": arena}}}
    return Ram().judge(Gate("ram", limit), evidence)


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
    assert Ram.of_hardware(share, ram) == limit


def test_a_share_of_nothing_and_more_than_all_are_refused() -> None:
    with pytest.raises(ValueError, match="no `ram` in \\[hardware\\]"):
        Ram.of_hardware("50 %", None)
    with pytest.raises(ValueError, match="below 100 %"):
        Ram.of_hardware("120 %", 2**30)


@pytest.mark.parametrize("count", [1, 1000, 1024, 3 * 2**20, 123_456_789, 6 * 2**30, 5 * 10**9])
def test_bytes_are_written_so_that_they_read_back_exactly(count: int) -> None:
    assert parse_bytes(exact_bytes(count)) == count
