"""Size: bytes carry no noise, so every verdict is pass or fail."""

from __future__ import annotations

import pytest

from edgebuild.gates.size import Size
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Gate
from tests.measured import footprint, weight


def judge(limit: str, ours: int, theirs: int = 1_000_000) -> Verdict:
    return Size().judge(Gate("size", limit), footprint(weight(ours), weight(theirs)))


@pytest.mark.parametrize(
    ("limit", "ours", "status"),
    [
        ("64 KiB", 65536, "pass"),
        ("64 KiB", 65537, "fail"),
        ("64 kB", 64001, "fail"),
        ("-90 %", 100_000, "pass"),
        ("-90 %", 100_001, "fail"),
        ("+5 %", 1_050_000, "pass"),
        ("+5 %", 1_050_001, "fail"),
        ("0 %", 1_000_000, "pass"),
    ],
)
def test_a_file_of_exactly_the_limit_passes_and_a_byte_more_fails(limit: str, ours: int, status: str) -> None:
    verdict = judge(limit, ours)
    assert (verdict.status, verdict.unit, verdict.estimate) == (status, "B", ours)


def test_the_reason_tells_size_limit_and_the_float_files_size() -> None:
    assert judge("64 KiB", 2048, 4 << 20).reason == "2.0 KiB of at most 64.0 KiB; the float file has 4.0 MiB"


@pytest.mark.parametrize("text", ["64", "-100 %", "0 B", "-1 KiB", "1 ms", "1 pp %"])
def test_a_limit_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|size|shrink"):
        Size.limit(text)
