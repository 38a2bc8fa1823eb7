"""The sample picture of a bundle: what is written is read by the shipped program and by another decoder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgebuild.bundle import png
from tests.bundle import pngs


def noise(height: int, width: int, channels: int) -> pngs.Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (28, 28), (3, 17), (17, 3)])
def test_a_picture_is_read_back_as_it_was(
    program: ModuleType, tmp_path: Path, height: int, width: int, channels: int
) -> None:
    pixels = noise(height, width, channels)
    data = png.encode(pixels)
    (tmp_path / "sample.png").write_bytes(data)
    assert np.array_equal(pngs.decode(data), pixels)
    assert np.array_equal(program.read_png(tmp_path / "sample.png"), pixels)


def test_a_view_with_gaps_is_written_as_what_it_shows() -> None:
    whole = noise(8, 8, 3)
    assert np.array_equal(pngs.decode(png.encode(whole[::2, 1::3])), whole[::2, 1::3])


def test_no_compressor_decides_its_bytes() -> None:
    """Beyond one block of 65,535 bytes; the digest was taken when the format was written down."""
    import hashlib
    import zlib as reference

    pixels = (np.arange(180 * 200 * 3) % 251).astype(np.uint8).reshape(180, 200, 3)
    data = png.encode(pixels)
    assert np.array_equal(pngs.decode(data), pixels)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    stream = data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8]
    assert len(stream) == len(rows) + 2 + 2 * 5 + 4
    assert reference.decompress(stream) == rows
    assert hashlib.sha256(data).hexdigest() == "977c10440d86c5edc1d65751ea02b305aae5b3a040aff33b2bc7cfeb978b6813"


def test_the_same_picture_has_the_same_bytes() -> None:
    assert png.encode(noise(5, 7, 1)) == png.encode(noise(5, 7, 1).copy())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", range(5))
def test_every_row_filter_is_undone(program: ModuleType, tmp_path: Path, kind: int, channels: int) -> None:
    pixels = noise(6, 9, channels)
    (tmp_path / "x.png").write_bytes(pngs.png(pixels, [kind] * 6))
    assert np.array_equal(program.read_png(tmp_path / "x.png"), pixels)


def test_filters_may_change_from_row_to_row_and_the_picture_may_be_in_parts(
    program: ModuleType, tmp_path: Path
) -> None:
    pixels = noise(10, 13, 3)
    text = pngs.chunk(b"tEXt", b"Comment\0made by hand")
    (tmp_path / "x.png").write_bytes(pngs.png(pixels, [4, 3, 2, 1, 0, 1, 4, 2, 3, 4], parts=5, extra=text))
    assert np.array_equal(program.read_png(tmp_path / "x.png"), pixels)


@pytest.mark.parametrize("values", [(0, 0, 0), (255, 0, 255), (10, 20, 15), (7, 7, 9), (200, 100, 150)])
def test_the_predictor_is_the_standards(program: ModuleType, values: tuple[int, int, int]) -> None:
    assert program.paeth(*values) == pngs.paeth(*values)


def test_the_predictor_is_the_standards_for_all_small_values(program: ModuleType) -> None:
    every = [(a, b, c) for a in range(0, 256, 17) for b in range(0, 256, 15) for c in range(0, 256, 13)]
    assert [program.paeth(*values) for values in every] == [pngs.paeth(*values) for values in every]


@pytest.mark.parametrize(
    ("header", "kinds", "told"),
    [
        ({"depth": 16}, None, "only 8-bit"),
        ({"interlace": 1}, None, "without interlace"),
        ({"colour": 3}, None, "only 8-bit grey or colour"),
        ({}, [0, 5], "no PNG row filter 5"),
    ],
)
def test_what_is_not_read_is_refused(
    program: ModuleType, tmp_path: Path, header: dict[str, int], kinds: list[int] | None, told: str
) -> None:
    data = pngs.png(noise(2, 2, 1), [0, 0], **header)
    if kinds:
        raw = bytes([0, 1, 2, kinds[1], 3, 4])
        import zlib

        head = data[: data.index(b"IDAT") - 4]
        data = head + pngs.chunk(b"IDAT", zlib.compress(raw)) + pngs.chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        program.read_png(tmp_path / "x.png")
