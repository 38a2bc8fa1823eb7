"""Quantities: every unit counts what it says, and what is no quantity is refused with the units named."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebuild.spec import units

# Written out by hand, so that a wrong factor in the tables cannot hide.
BASE = {
    "1 B": 1, "1 kB": 1000, "1 MB": 1_000_000, "1 GB": 1_000_000_000,
    "1 KiB": 1024, "1 MiB": 1_048_576, "1 GiB": 1_073_741_824,
    "1 ns": 1e-9, "1 us": 1e-6, "1 µs": 1e-6, "1 ms": 1e-3, "1 s": 1, "1 min": 60,
    "1 Hz": 1, "1 kHz": 1e3, "1 MHz": 1e6, "1 GHz": 1e9,
    "1 pp": 0.01, "1 %": 0.01,
    "1 MB/s": 1e6, "1 GB/s": 1e9, "1 TB/s": 1e12,
    "1 GFLOP/s": 1e9, "1 TFLOP/s": 1e12, "1 PFLOP/s": 1e15,
}  # fmt: skip
TABLES: dict[str, dict[str, float] | dict[str, int]] = {
    "bytes": units.BYTES, "seconds": units.SECONDS, "hertz": units.HERTZ, "share": units.SHARE,
    "bytes per second": units.BYTES_PER_SECOND, "operations per second": units.OPS_PER_SECOND,
}  # fmt: skip
POSITIVE: list[tuple[Callable[[object], float], str]] = [
    (units.parse_bytes, "B"),
    (units.parse_seconds, "ms"),
    (units.parse_hertz, "MHz"),
    (units.parse_bytes_per_second, "GB/s"),
    (units.parse_ops_per_second, "TFLOP/s"),
]


def test_every_unit_there_is_has_the_factor_it_says() -> None:
    known = {f"1 {unit}": (table, unit) for table in TABLES.values() for unit in table}
    assert known.keys() == BASE.keys()
    assert {text: units.parse(text, known[text][0]) for text in known} == pytest.approx(BASE, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "value"), [("40ms", 0.04), ("  1.5   s ", 1.5), ("2.5e3 us", 0.0025), ("+3 min", 180), ("1e-3 s", 0.001)]
)
def test_spaces_signs_and_exponents_are_read(text: str, value: float) -> None:
    assert units.parse(text, units.SECONDS) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_missing_or_unknown_unit_is_refused_and_the_known_ones_are_named(table: dict[str, float]) -> None:
    for text in ("40", "40 parsec", "40 "):
        with pytest.raises(ValueError, match="unit") as caught:
            units.parse(text, table)
        assert ", ".join(table) in str(caught.value)


def test_units_are_case_sensitive_since_mb_may_be_many_things() -> None:
    for text in ("4 mib", "4 Mb", "4 KB", "4 MS", "4 ghz"):
        with pytest.raises(ValueError, match="unknown unit"):
            units.parse(text, units.BYTES | units.SECONDS | units.HERTZ)


@pytest.mark.parametrize(
    "value", [40, 4.0, True, None, [], {}, b"40 ms", "", "ms", "4 0 ms", "0x4 ms", "nan ms", "inf s"]
)
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a quantity|unknown unit"):
        units.parse(value, units.SECONDS)


@pytest.mark.parametrize(("parse", "unit"), POSITIVE)
def test_zero_and_less_are_refused_where_nothing_can_be_so(parse: Callable[[object], float], unit: str) -> None:
    for number in ("0", "-1", "0.0", "-0", "1e-999"):
        with pytest.raises(ValueError, match="above zero"):
            parse(f"{number} {unit}")


@pytest.mark.parametrize(("parse", "unit"), POSITIVE)
def test_a_number_too_large_for_the_machine_is_refused(parse: Callable[[object], float], unit: str) -> None:
    with pytest.raises(ValueError, match="too large"):
        parse(f"1e999 {unit}")


def test_less_than_a_byte_is_nothing_and_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        units.parse_bytes("0.4 B")
    assert units.parse_bytes("1.5 KiB") == 1536


@given(st.integers(1, 10**6), st.sampled_from(sorted(units.BYTES)))
def test_whole_bytes_are_read_exactly(count: int, unit: str) -> None:
    assert units.parse_bytes(f"{count} {unit}") == count * units.BYTES[unit]


@given(st.floats(1e-6, 1e9), st.sampled_from(sorted(units.SECONDS)))
def test_a_duration_written_with_any_unit_is_read_back(number: float, unit: str) -> None:
    exact = Fraction(number) * Fraction(str(units.SECONDS[unit]))
    assert units.parse_seconds(f"{number!r} {unit}") == pytest.approx(float(exact), rel=1e-12)


@given(st.integers(1, 2**50))
def test_bytes_shown_are_read_back_to_the_digits_shown(count: int) -> None:
    assert units.parse_bytes(units.show_bytes(count)) == pytest.approx(count, rel=0.05)


@given(st.floats(1e-9, 1e6))
def test_seconds_shown_are_read_back_to_three_digits(seconds: float) -> None:
    assert units.parse_seconds(units.show_seconds(seconds)) == pytest.approx(seconds, rel=0.005)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1200, "1.20 k"), (3.4e6, "3.40 M"), (5.6e9, "5.60 G"), (-2000, "-2.00 k")],
)
def test_counts_are_shown_with_a_decimal_suffix(count: float, text: str) -> None:
    assert units.show_count(count) == text


def test_bytes_and_seconds_are_shown_in_the_unit_that_fits() -> None:
    assert [units.show_bytes(n) for n in (0, 1023, 1024, 1536, 4 * 2**20)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "4.0 MiB",
    ]
    assert [units.show_seconds(s) for s in (2, 0.04, 3.2e-6, 5e-9)] == ["2 s", "40 ms", "3.2 µs", "5 ns"]
