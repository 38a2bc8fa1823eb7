"""Errors: one line whatever is in them, an exit code each, and the same after a trip through a worker's JSON."""

from __future__ import annotations

import json

import pytest

from edgebuild.spec import errors

CODES = {"EdgebuildError": 4, "UsageError": 2, "StepError": 4, "DeviceError": 4, "IntegrityError": 5}


def test_the_line_names_file_key_reason_and_hint() -> None:
    error = errors.UsageError("is wrong", file="a.toml", key="b.c", hint="mend it")
    assert error.line == str(error) == "a.toml: b.c: is wrong (mend it)"
    assert errors.UsageError("is wrong").line == "is wrong"


def test_it_is_one_line_whatever_file_key_and_reason_hold() -> None:
    error = errors.StepError("a\n b\r\nc", file="x\ny.toml", key="k\u2028l", hint="m\x85n")
    assert error.line == "x y.toml: k l: a b c (m n)"


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_an_error_comes_out_of_a_workers_json_as_it_went_in(kind: str, code: int) -> None:
    error = getattr(errors, kind)("reason", file="f", key="k", hint="h")
    again = errors.from_json(json.loads(json.dumps(error.to_json())))
    assert (type(again), again.line, again.exit_code) == (type(error), "f: k: reason (h)", code)


def test_an_unknown_kind_of_error_becomes_a_step_error() -> None:
    data: dict[str, str | None] = {"kind": "Weird", "reason": None, "file": None, "key": None, "hint": None}
    assert isinstance(errors.from_json(data), errors.StepError)
