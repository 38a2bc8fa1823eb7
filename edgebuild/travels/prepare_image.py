"""How a picture becomes a model's input: in training, calibration and judging, and in a bundle's `run.py`.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild. What preprocess.json says is called `how`.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

Array = Any  # numpy.ndarray of some type
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")  # of files that a folder is searched for
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # PNG colour type → samples a pixel


def read_prepared(path: Path, how: Mapping[str, Any]) -> List[Array]:
    """The model's input for a picture in a file, [1, …] float32, or uint8 where pixels stay as they are."""
    return [prepare(read_picture(path), how)]


def prepare(pixels: Array, how: Mapping[str, Any]) -> Array:
    """Pixels [h, w, c] as the model's input [1, …], as `scale` makes it."""
    return scale(fit(pixels, how)[None], how)


def fit(pixels: Array, how: Mapping[str, Any]) -> Array:
    """Pixels uint8 [h, w, c] with the channels and the size that the model takes, uint8 [height, width, channels].

    Grey and resized pixels are rounded, as Pillow does: pixels are what a data set keeps on disk, not floats.
    """
    colours = 3 if pixels.shape[-1] >= 3 else 1  # what is more is alpha
    pixels = pixels[..., :colours]
    same = pixels.shape[:2] == (how["height"], how["width"])
    if same and pixels.shape[-1] == how["channels"]:
        return np.ascontiguousarray(pixels, np.uint8)
    values = pixels.astype(np.float32)
    if how["channels"] == 1 and colours == 3:
        values = values @ np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601 luma
    values = resize(values, how["height"], how["width"], how["crop"])
    if how["channels"] == 3 and colours == 1:
        values = values.repeat(3, axis=-1)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def scale(pixels: Array, how: Mapping[str, Any]) -> Array:
    """Pixels uint8 [n, height, width, channels] as the model's input [n, …], of its layout: float32, or uint8 where
    pixels stay as they are.
    """
    kind = np.dtype(how.get("dtype", "float32"))
    values = pixels.astype(kind)
    if how["invert"]:
        values = 255 - values
    if how.get("order") == "bgr":
        values = values[..., ::-1]
    if kind == np.float32:
        values = (values / 255 - np.array(how["mean"], np.float32)) / np.array(how["std"], np.float32)
    axes = (0, 1, 2, 3) if how["layout"] == "nhwc" else (0, 3, 1, 2)
    return np.ascontiguousarray(values.transpose(axes), kind)


def read_picture(path: Path) -> Array:
    """Pixels of a picture, uint8 [height, width, channels]: any that Pillow opens where it is there, else a PNG."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        if path.suffix.lower() != ".png":
            raise ValueError("without Pillow only .png pictures are read: python3 -m pip install pillow") from None
        return read_png(path)
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)  # as the camera was held
        if upright.mode.startswith(("I", "F")):
            raise ValueError("only pictures of 8 bits a channel are read")
        pixels = np.asarray(upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def read_png(path: Path) -> Array:
    """Pixels of an 8-bit grey or colour PNG without interlace, uint8 [height, width, channels]."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("%s is not a PNG file" % path.name)
    chunks: Dict[bytes, bytes] = dict(read_chunks(data))
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if depth != 8 or colour not in CHANNELS or interlace:
        raise ValueError("%s: only 8-bit grey or colour PNGs without interlace are read" % path.name)
    channels = CHANNELS[colour]
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    return unfilter(raw, channels).reshape(height, width, channels)


def read_chunks(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """(name, content) of every chunk; the parts of the picture are joined."""
    position, picture = 8, b""
    while position + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        picture += content if name == b"IDAT" else b""
        yield name, picture if name == b"IDAT" else content
        position += 12 + length


def unfilter(raw: Array, step: int) -> Array:
    """Undo the five PNG row filters (ISO/IEC 15948, section 9)."""
    above, lines = bytearray(step + raw.shape[1] - 1), []  # a row above and a pixel before, all zero
    for kind, values in zip(raw[:, 0], raw[:, 1:]):
        if kind > 4:
            raise ValueError("there is no PNG row filter %d" % kind)
        line = bytearray(len(above))
        for x, value in enumerate(values.tobytes(), start=step):
            left, up = line[x - step], above[x]
            guess = paeth(left, up, above[x - step]) if kind == 4 else (0, left, up, (left + up) // 2)[kind]
            line[x] = (value + guess) & 255
        lines.append(line[step:])
        above = line
    return np.frombuffer(b"".join(lines), np.uint8)


def paeth(left: int, up: int, corner: int) -> int:
    """The neighbour nearest to left + up - corner."""
    a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    return left if a <= b and a <= c else up if b <= c else corner


def resize(pixels: Array, height: int, width: int, crop: Optional[float] = None) -> Array:
    """Bilinear, with pixel centres at half coordinates; where it shrinks, each pixel is a mean of those that it covers.

    Without `crop` all of the picture is stretched; else the largest part in its middle that has the proportions of the
    result, times this share, becomes the result. What has the size is left as it is.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    parts: Tuple[float, float] = pixels.shape[:2]
    if crop is not None:
        scale = crop * min(parts[0] / height, parts[1] / width)
        parts = (scale * height, scale * width)
    for axis, size in ((0, height), (1, width)):
        if (pixels.shape[axis], parts[axis]) != (size, size):
            shares = weights(pixels.shape[axis], parts[axis], size)
            pixels = np.moveaxis(np.tensordot(shares, pixels, (1, axis)), 0, axis)
    return pixels


def weights(length: int, part: float, size: int) -> Array:
    """Shares [size, length] float32 of pixels in those that a part in their middle becomes: a triangle around each."""
    step = part / size
    centre = (length - part) / 2 + (np.arange(size)[:, None] + 0.5) * step
    away = np.abs(np.arange(length) + 0.5 - centre) / max(step, 1)
    shares = np.maximum(1 - away, 0)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)
