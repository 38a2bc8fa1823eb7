"""The table of what is real: a row allows what it names and nothing else; what is missing is told with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from edgebuild.spec.quantization import Missing, Quantization, Support, refusal, rows
from edgebuild.spec.registry import FORMATS

FORMAT_KINDS = [FORMATS.get(name) for name in FORMATS.names()]
EVERYTHING = [
    Quantization(technique, weights=weights, granularity=granularity, activations=activations, borders=borders)
    for technique in ("static", "dynamic", "weights_only", "float16")
    for weights in ("int8", "int4", "float16")
    for granularity in ("tensor", "channel", "block")
    for activations in ("int8", "uint8")
    for borders in ("float32", "int8")
]

ROW = Support("static", ("int8",), ("channel",), "all", "int8", ("uint8",))


def test_a_row_allows_what_it_names() -> None:
    assert refusal([ROW], [], Quantization("static", activations="uint8")) is None


@pytest.mark.parametrize(
    "other",
    [
        {"technique": "dynamic"},
        {"weights": "int4"},
        {"granularity": "block"},
        {"activations": "int8"},
        {"borders": "int8"},
    ],
)
def test_a_row_allows_nothing_else(other: dict[str, Any]) -> None:
    asked = {"technique": "static", "activations": "uint8"} | other
    gap = refusal([ROW], [], Quantization(**asked))
    assert gap is not None
    assert gap.instead == "see `edgebuild steps`"


def test_the_first_gap_that_concerns_it_is_the_reason() -> None:
    gaps = [Missing("static", "blocks", "a", granularity=("block",)), Missing("static", "int4", "b", ("int4",))]
    gap = refusal([ROW], gaps, Quantization("static", weights="int4"))
    assert gap is gaps[1]


@pytest.mark.parametrize("kind", FORMAT_KINDS)
def test_no_gap_of_a_format_stands_for_nothing(kind: Any) -> None:
    """A gap that only concerns what a row allows would never be told."""
    for gap in kind.unreal:
        concerned = [how for how in EVERYTHING if gap.concerns(how)]
        assert any(refusal(kind.real, kind.unreal, how) is gap for how in concerned), gap


def test_the_table_of_the_command_has_every_row() -> None:
    found = rows({name: FORMATS.get(name) for name in FORMATS.names()})
    assert len(found) == sum(len(kind.real) + len(kind.unreal) for kind in FORMAT_KINDS)
    assert {row["format"] for row in found} == {*FORMATS.names()}
    assert all(row["real"] or "instead: " in row["arithmetic"] for row in found)
