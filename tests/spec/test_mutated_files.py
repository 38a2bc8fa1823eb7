"""Two thousand damaged target and model files: read, or refused in one line; never a traceback."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_model, read_target
from tests import ROOT

TARGETS = sorted((ROOT / "targets").glob("*.toml"))
MODELS = sorted((ROOT / "models").glob("*/model.toml"))

# What people and editors put where a value belongs.
VALUES = (
    "true", "0", "-1", "1.5", "nan", "-inf", '""', '"x"', '"4 GiB"', '"\\u0000"', '"\\u001b[2J\\n"', "[]", "[[]]", "{}",
    "1979-05-27T07:32:00Z", "07:32:00", "99999999999999999999999999", "9" * 5000, "1e999", "[1, 'a', {b = 2}]",
    '"' + "é" * 3000 + '"', "{a = {a = {a = 1}}}", "0x_1", "'''", "\u2028", "[" * 300 + "]" * 300, "a." * 300 + "b = 1",
)  # fmt: skip


def mutants(files: list[Path], count: int) -> Iterator[bytes]:
    """Seeded damage to the files that are shipped: one to three blows each."""
    rng = random.Random(20240229)
    whole = [file.read_bytes() for file in files]
    for _ in range(count):
        text = rng.choice(whole)
        for _ in range(rng.randint(1, 3)):
            text = rng.choice((value_replaced, name_damaged, line_gone, line_doubled, byte_damaged, cut))(text, rng)
        yield text


def value_replaced(text: bytes, rng: random.Random) -> bytes:
    places = [*re.finditer(rb"(?<== ).*$", text, re.M)]
    return at(text, rng.choice(places), rng.choice(VALUES).encode()) if places else text


def name_damaged(text: bytes, rng: random.Random) -> bytes:
    places = [*re.finditer(rb"\b[a-z_]{1,40}(?= =|\])", text)]
    if not places:
        return text
    place = rng.choice(places)
    letters = list(place[0].decode())
    rng.shuffle(letters)
    return at(text, place, rng.choice(("".join(letters), '"a\\nb"', "a.b", place[0].decode() + "s", '""')).encode())


def at(text: bytes, place: re.Match[bytes], value: bytes) -> bytes:
    return text[: place.start()] + value + text[place.end() :]


def line_gone(text: bytes, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join(lines[: (k := rng.randrange(len(lines) or 1))] + lines[k + 1 :])


def line_doubled(text: bytes, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join(lines[: (k := rng.randrange(len(lines) or 1)) + 1] + lines[k:])


def byte_damaged(text: bytes, rng: random.Random) -> bytes:
    k = rng.randrange(len(text) or 1)
    return text[:k] + bytes([rng.randrange(256)]) + text[k + rng.randrange(2) :]


def cut(text: bytes, rng: random.Random) -> bytes:
    return text[: rng.randrange(len(text) or 1)]


def refusal(read: Callable[[], object]) -> str | None:
    """The line with which reading refuses the file; any other exception fails the test."""
    try:
        read()
    except UsageError as error:
        return error.line
    return None


@pytest.mark.parametrize("kind", ["target", "model"])
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "model.toml"
    refusals = 0
    for text in mutants(TARGETS if kind == "target" else MODELS, 1000):
        file.write_bytes(text)
        read = read_target if kind == "target" else read_model
        line = refusal(lambda: read(file if kind == "target" else tmp_path, "shown.toml"))  # noqa: B023
        if line is not None:
            refusals += 1
            assert line.startswith("shown.toml: ")
            assert line.isprintable()  # so it is one line
            assert len("shown.toml: ") < len(line) < 2000
    assert 500 < refusals < 1000  # both roads are taken
