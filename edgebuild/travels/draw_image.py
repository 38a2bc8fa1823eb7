"""Draws what a model answers onto the picture that it was asked about: boxes with their labels, areas in colours.

This file travels in bundles: Python 3.9, numpy and Pillow, nothing of edgebuild. `how` is what preprocess.json says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

if __package__:
    from . import prepare_image
else:
    import prepare_image  # type: ignore[import-not-found,no-redef]

Array = Any
Box = Tuple[int, str, Sequence[float]]  # class, what is written beside it; left, top, right, bottom as shares


def draw(source: Path, how: Mapping[str, Any], boxes: Sequence[Box], areas: Optional[Array], target: Path) -> None:
    """Write the picture `source` with boxes, and areas (classes [h, w]) in colours, to `target`.

    A model that sees the middle alone (`crop`) is drawn on what it saw. ValueError where Pillow is not there.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise ValueError("drawing needs Pillow: python3 -m pip install pillow") from None
    pixels = prepare_image.read_picture(source)
    if how["crop"] is not None:
        pixels = prepare_image.fit(pixels, how)
    picture = Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]).convert("RGB")
    if areas is not None:
        colours = np.array([colour(number) for number in range(int(areas.max()) + 1)], np.uint8)[areas]
        nearest = getattr(Image, "Resampling", Image).NEAREST  # before Pillow 9.1 in the module
        picture = Image.blend(picture, Image.fromarray(colours).resize(picture.size, nearest), 0.5)
    pen, width = ImageDraw.Draw(picture), max(1, min(picture.size) // 150)
    for number, text, corners in boxes:
        left, top, right, bottom = [share * picture.size[place % 2] for place, share in enumerate(corners)]
        # Corners may lie outside of the picture, and those of a box without an extent may have changed places.
        pen.rectangle([(min(left, right), min(top, bottom)), (max(left, right), max(top, bottom))], None,
                      colour(number + 1), width)  # fmt: skip
        pen.text((left + width + 1, top + width), text, colour(number + 1))
    picture.save(target)


def colour(number: int) -> Tuple[int, int, int]:
    """Of a class: Pascal VOC's, of which 0 is black (Everingham et al. 2010): bits of the number, far apart."""
    channels: List[int] = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> channel & 1) << (7 - bit)
        number >>= 3
    return channels[0], channels[1], channels[2]
