"""Download: judged on the bytes that travel, against the limit or the float file."""

from __future__ import annotations

import pytest

from edgebuild.gates.download import Download
from edgebuild.spec.target import Gate
from tests.measured import footprint, weight


@pytest.mark.parametrize(
    ("limit", "download", "status"),
    [("32 KiB", 32768, "pass"), ("32 KiB", 32769, "fail"), ("-97.5 %", 25_000, "pass"), ("-97.5 %", 25_001, "fail")],
)
def test_the_coded_bytes_are_judged_and_not_the_files(limit: str, download: int, status: str) -> None:
    evidence = footprint(weight(1_000_000, download), weight(1_000_000))
    verdict = Download().judge(Gate("download", limit), evidence)
    assert (verdict.metric, verdict.status, verdict.unit, verdict.estimate) == ("download", status, "B", download)


@pytest.mark.parametrize("text", ["64", "-100 %", "0 B", "1 ms"])
def test_a_limit_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|size|shrink"):
        Download.limit(text)
