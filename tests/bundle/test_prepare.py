"""How the shipped program makes a model's input of a picture, against numbers worked by hand."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgebuild.spec.preprocess import ImageInput


def prepared(program: ModuleType, pixels: Any, **how: Any) -> Any:
    pixels = np.asarray(pixels, np.uint8)
    same = {"height": pixels.shape[0], "width": pixels.shape[1], "channels": 1}
    whole = {"mean": [0.0], "std": [1.0], "invert": False, "crop": None, "layout": "nchw"} | same | how
    given = program.prepare(pixels, whole)
    assert given.dtype == np.float32
    size = (whole["height"], whole["width"])
    shape = (*size, whole["channels"]) if whole["layout"] == "nhwc" else (whole["channels"], *size)
    assert given.shape == (1, *shape)
    return given[0]


def test_pixels_become_shares_of_white(program: ModuleType) -> None:
    assert prepared(program, [[[0], [51], [255]]]).tolist() == [[[0.0, pytest.approx(0.2), 1.0]]]


def test_colours_become_grey_by_their_luma(program: ModuleType) -> None:
    picture = [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]
    assert prepared(program, picture)[0, 0] == pytest.approx(np.array([76, 150, 29, 255]) / 255)  # rounded pixels


def test_grey_becomes_three_equal_colours(program: ModuleType) -> None:
    assert prepared(program, [[[51]]], channels=3)[:, 0, 0] == pytest.approx([0.2] * 3)


def test_colours_keep_their_order_and_go_first(program: ModuleType) -> None:
    found = prepared(program, [[[51, 102, 153], [0, 0, 255]]], channels=3)
    assert found[:, 0, :] == pytest.approx(np.array([[0.2, 0.0], [0.4, 0.0], [0.6, 1.0]]))


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_alpha_is_left_out(program: ModuleType, alpha: int) -> None:
    assert prepared(program, [[[51, alpha]]])[0, 0, 0] == pytest.approx(0.2)
    assert prepared(program, [[[51, 102, 153, alpha]]], channels=3)[:, 0, 0] == pytest.approx([0.2, 0.4, 0.6])


def test_inversion_comes_before_mean_and_deviation(program: ModuleType) -> None:
    assert prepared(program, [[[51]]], invert=True)[0, 0, 0] == pytest.approx(0.8)
    found = prepared(program, [[[51]]], invert=True, mean=[0.5], std=[0.25])
    assert found[0, 0, 0] == pytest.approx((0.8 - 0.5) / 0.25)


def test_channels_go_in_by_the_order_of_mean_and_deviation_and_come_back_as_a_picture(program: ModuleType) -> None:
    how = {"channels": 3, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "order": "bgr"}
    found = prepared(program, [[[51, 102, 153]]], **how)
    assert found[:, 0, 0] == pytest.approx([1.0, 0.4, -0.2])
    declared = ImageInput(width=1, height=1, channels=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5), order="bgr")
    picture = declared.picture(found)
    assert picture is not None
    assert picture.tolist() == [[[51, 102, 153]]]
    with pytest.raises(ValueError, match="order is for pictures of 3 channels"):
        ImageInput(order="bgr")


def test_each_colour_has_its_own_mean_and_deviation(program: ModuleType) -> None:
    found = prepared(program, [[[51, 102, 153]]], channels=3, mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 0.1])
    assert found[:, 0, 0] == pytest.approx([0.1 / 0.5, 0.2 / 0.25, 0.3 / 0.1], rel=1e-5)


@pytest.mark.parametrize(
    ("row", "size", "expected"),
    [
        ([0, 100], 4, [0, 25, 75, 100]),  # centres at −0.25, 0.25, 0.75, 1.25 of the source
        ([0, 100], 1, [50]),
        (
            [10, 20, 30, 40],
            2,
            [120 / 7, 230 / 7],
        ),  # 3, 3 and 1 shares of 7
        ([0, 90, 0], 6, [0, 22.5, 67.5, 67.5, 22.5, 0]),
        ([7], 3, [7, 7, 7]),
        ([1, 2, 3], 3, [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_resizing_is_bilinear_between_pixel_centres(
    program: ModuleType, row: list[float], size: int, expected: list[float], axis: int
) -> None:
    picture = np.array(row, np.float32).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
    height, width = (size, 1) if axis == 0 else (1, size)
    assert program.resize(picture, height, width).ravel() == pytest.approx(expected)


def test_resizing_both_ways_mixes_four_pixels(program: ModuleType) -> None:
    picture = np.array([[0, 10], [20, 70]], np.float32)[..., None]
    assert program.resize(picture, 1, 1).ravel() == pytest.approx([25])
    assert program.resize(picture, 4, 4)[1, 2, 0] == pytest.approx(0.75 * 7.5 + 0.25 * 57.5)


@pytest.mark.parametrize("size", [(9, 7), (64, 50), (33, 80)])
def test_resizing_is_what_pillow_calls_bilinear(program: ModuleType, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8)
    height, width = size
    expected = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    found = program.resize(pixels.astype(np.float32), height, width)
    assert np.abs(found - expected).max() <= 1.01  # Pillow rounds after each axis


def test_cropping_is_resizing_to_more_and_taking_the_middle(program: ModuleType) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (48, 64, 3)).astype(np.float32)
    larger = program.resize(pixels, 24, 32)
    assert program.resize(pixels, 20, 20, 20 / 24) == pytest.approx(larger[2:-2, 6:-6], abs=1e-3)
    assert program.resize(pixels, 24, 24, 1.0) == pytest.approx(larger[:, 4:-4], abs=1e-3)


def test_a_picture_that_has_the_size_is_not_cropped(program: ModuleType) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 1), dtype=np.uint8)
    assert np.array_equal(prepared(program, pixels, crop=0.5), prepared(program, pixels))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("invert", [False, True])
def test_a_sample_picture_is_what_preprocessing_turns_into_the_example(
    program: ModuleType, channels: Any, invert: bool, layout: Any
) -> None:
    how = ImageInput(width=5, height=4, channels=channels, mean=(0.3,), std=(0.2,), invert=invert, layout=layout)
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    options = {"channels": channels, "mean": [0.3], "std": [0.2], "invert": invert, "layout": layout}
    example = prepared(program, picture, **options)
    assert np.array_equal(how.picture(example), picture)
