"""How a recording becomes a model's input: the logarithm of its mel spectrogram, in data and in a bundle's `run.py`.

This file travels in bundles: Python 3.9 and numpy, nothing of edgebuild. What preprocess.json says is called `how`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, List, Mapping, Tuple

import numpy as np

Array = Any  # numpy.ndarray of some type
ENDINGS = (".wav",)  # of files that a folder is searched for
STREAMED = 2**31 - 2**16  # bytes: whoever writes to a pipe does not know the size, and says about this or more
WHOLE, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE  # formats of samples: the last says further on which it has
READ = {(WHOLE, 8), (WHOLE, 16), (WHOLE, 24), (WHOLE, 32), (FLOATS, 32), (FLOATS, 64)}  # with their bits


def read_prepared(path: Path, how: Mapping[str, Any]) -> List[Array]:
    """The model's input for a .wav file, [1, …] float32."""
    return [fit(read_recording(path, how["rate"]), how)[None]]


def read_recording(path: Path, rate: int) -> Array:
    """Samples [n] float32, -1 to 1, of a .wav file of this rate, mean of its channels; ValueError for others.

    Whole numbers of 8 to 32 bits and floats of 32 and 64 are read (WAVE_FORMAT_PCM, _IEEE_FLOAT, _EXTENSIBLE).
    """
    kind, channels, own_rate, width, data = _stored(path)
    if own_rate != rate:
        raise ValueError("has %d samples a second, and [preprocess] rate is %d" % (own_rate, rate))
    data = data[: len(data) // (width * channels) * width * channels]
    if kind == FLOATS:
        values = np.frombuffer(data, "<f%d" % width).astype(np.float32)
        return values.reshape(-1, channels).mean(1)
    if width == 1:  # without sign
        values = np.frombuffer(data, np.uint8).astype(np.float32) - 128
    else:  # the highest bytes of a whole number of 32 bits
        padded = np.zeros((len(data) // width, 4), np.uint8)
        padded[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        values = padded.view("<i4")[:, 0].astype(np.float32) / 2.0 ** (32 - 8 * width)
    return values.reshape(-1, channels).mean(1) / np.float32(2 ** (8 * width - 1))


def rate_of(path: Path) -> int:
    """Samples a second of a .wav file; ValueError for what is none."""
    return _stored(path)[2]


def _stored(path: Path) -> Tuple[int, int, int, int, bytes]:
    """Format, channels, samples a second and bytes of a sample of a .wav file, and its samples as they are stored."""
    form, data, size = _chunks(path)
    if len(form) < 16:
        raise ValueError("is no PCM .wav file: it ends before its samples")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if kind == EXTENSIBLE and len(form) >= 26:
        (kind,) = struct.unpack("<H", form[24:26])
    if (kind, bits) not in READ or not channels:
        raise ValueError("is no PCM .wav file: unknown format: %d of %d bits (save it as 16-bit PCM)" % (kind, bits))
    if len(data) < size < STREAMED:
        raise ValueError("is cut off: %d of %d bytes of samples are there" % (len(data), size))
    if not data:
        raise ValueError("holds no samples")
    return kind, channels, rate, bits // 8, data


def _chunks(path: Path) -> Tuple[bytes, bytes, int]:
    """What a .wav file says of its format, its samples, and of how many bytes it says that they are."""
    form = b""
    with open(str(path), "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            reason = "it ends before its samples" if len(head) < 12 else "it does not begin as one"
            raise ValueError("is no PCM .wav file: %s (save it as 16-bit PCM)" % reason)
        end = file.seek(0, 2)
        file.seek(12)
        while True:
            chunk = file.read(8)
            if len(chunk) < 8:
                raise ValueError("is no PCM .wav file: it ends before its samples")
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return form, file.read(min(size, end - file.tell())), size
            body = file.read(min(size + size % 2, end - file.tell()))
            form = body if chunk[:4] == b"fmt " else form


def fit(samples: Array, how: Mapping[str, Any]) -> Array:
    """Samples [n], 16-bit or from -1 to 1, as the model's input of the shape that `how` says, float32.

    The first how["samples"] of them, zeros behind fewer; frames are periodic Hann windows, none beyond the end.
    """
    values = np.asarray(samples, np.float64) / (32768 if samples.dtype == np.int16 else 1)
    values = np.pad(values[: how["samples"]], (0, max(0, how["samples"] - len(values))))
    window, hop = how["window"], how["hop"]
    count = 1 + (len(values) - window) // hop
    frames = values[np.arange(count)[:, None] * hop + np.arange(window)]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    energy = np.abs(np.fft.rfft(frames * hann, how["fft"])) ** how["power"]
    bands = np.maximum(energy @ triangles(how), how["floor"])  # [frames, bands]
    plane = (np.log(bands) - how["mean"]) / how["std"]
    return np.ascontiguousarray((plane if how["frames_first"] else plane.T).reshape(how["shape"]), np.float32)


def triangles(how: Mapping[str, Any]) -> Array:
    """Shares [fft / 2 + 1, bands] of frequencies in bands: triangles in Hz, their corners even on the mel scale."""
    high = how["rate"] / 2 if how["high"] is None else how["high"]
    scale = how["scale_of"]
    ends = to_mel(np.array([how["low"], high], np.float64), scale)
    corners = to_hz(np.linspace(ends[0], ends[1], how["bands"] + 2), scale)
    frequencies = np.linspace(0, how["rate"] / 2, how["fft"] // 2 + 1)[:, None]
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    shares = np.maximum(0, np.minimum(rising, falling))
    return shares * (2 / (high - low)) if how["norm"] == "slaney" else shares


def to_mel(hertz: Array, scale: str) -> Array:
    """Mel of Hz: HTK's logarithm, or Slaney's Auditory Toolbox: linear to 1 kHz, 27 steps for each factor 6.4 above."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < 1000, 3 * hertz / 200, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def to_hz(mel: Array, scale: str) -> Array:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, 200 * mel / 3, 1000 * 6.4 ** ((np.maximum(mel, 15) - 15) / 27))
