"""A bundle's run.py reads pictures by Pillow where it is there, and PNGs without it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.bundle import pngs

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device that lacks it."""
    monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.fromarray(PIXELS), PIXELS),
        (Image.fromarray(PIXELS[..., 0]), PIXELS[..., :1]),
        (Image.fromarray(PIXELS).convert("RGBA"), PIXELS),
        (Image.fromarray(PIXELS[..., 0]).convert("LA"), PIXELS[..., :1]),
        (Image.fromarray(PIXELS[..., 0] // 128 * 255).convert("1"), PIXELS[..., :1] // 128 * 255),
    ],
    ids=["colour", "grey", "alpha", "grey-alpha", "bits"],
)
def test_pillow_opens_what_it_knows(
    program: ModuleType, tmp_path: Path, picture: Image.Image, expected: pngs.Pixels
) -> None:
    picture.save(tmp_path / "x.png")
    picture.convert("RGB" if expected.shape[-1] == 3 else "L").save(tmp_path / "x.jpg", quality=100, subsampling=0)
    assert np.array_equal(program.read_picture(tmp_path / "x.png"), expected)
    loose = program.read_picture(tmp_path / "x.jpg").astype(int)
    assert loose.shape == expected.shape
    assert np.abs(loose - expected).mean() < 3


def test_a_picture_is_turned_as_the_camera_was_held(program: ModuleType, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.fromarray(PIXELS).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(program.read_picture(tmp_path / "x.png"), np.rot90(PIXELS, -1))


def test_more_than_eight_bits_are_refused_and_not_cut(program: ModuleType, tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 4000, np.uint16)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="8 bits a channel"):
        program.read_picture(tmp_path / "x.png")


@pytest.mark.usefixtures("without_pillow")
def test_without_pillow_a_png_is_read_and_a_jpeg_says_what_is_missing(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(pngs.png(PIXELS))
    assert np.array_equal(program.read_picture(tmp_path / "x.png"), PIXELS)
    with pytest.raises(ValueError, match="pip install pillow"):
        program.read_picture(tmp_path / "x.jpg")
