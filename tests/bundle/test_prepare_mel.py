"""The mel spectrogram that data and bundles share, against transformers', scipy's and librosa's values."""

from __future__ import annotations

import struct
import wave
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import signal

from edgebuild.spec.preprocess import MelInput
from edgebuild.travels import prepare_mel

SOUND = np.random.default_rng(0).normal(0, 0.1, 16000) + 0.3 * np.sin(np.arange(16000) * 0.2)


def made(how: MelInput, samples: Any = SOUND) -> Any:
    return how.fit(samples)[0]


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_it_is_what_transformers_computes(scale: Any, norm: Any, power: float) -> None:
    audio = pytest.importorskip("transformers.audio_utils")
    shape: dict[str, Any] = {"low": 20.0, "high": 7600.0, "scale_of": scale, "norm": norm, "power": power}
    how = MelInput("mel", floor=1e-10, **shape)
    slaney = None if norm == "none" else norm
    filters = audio.mel_filter_bank(257, 40, 20.0, 7600.0, 16000, norm=slaney, mel_scale=scale)
    hann = {"window": audio.window_function(400, "hann"), "frame_length": 400, "hop_length": 160, "fft_length": 512}
    whole = audio.spectrogram(
        SOUND, **hann, power=power, center=False, mel_filters=filters, mel_floor=1e-10, log_mel="log"
    )
    assert made(how)[0] == pytest.approx(whole, abs=1e-4)
    assert made(how).shape == (1, 40, 98)


def test_frames_are_those_of_scipy() -> None:
    """A single band over all frequencies is their weighted sum."""
    how = MelInput("mel", bands=3, fft=400, hop=200)
    hann = signal.windows.hann(400, sym=False)
    _, _, spectrum = signal.stft(SOUND, window=hann, nperseg=400, noverlap=200, boundary=None, padded=False)
    energy = np.abs(spectrum * hann.sum()) ** 2  # scipy divides by the window's sum
    bands = prepare_mel.triangles(asdict(how)).T @ energy
    assert made(how)[0] == pytest.approx(np.log(np.maximum(bands, 1e-6)), abs=1e-4)


def test_the_mel_scales_are_librosas() -> None:
    """https://librosa.org/doc/main/generated/librosa.hz_to_mel.html and mel_to_hz.html."""
    assert prepare_mel.to_mel(np.array([60.0, 110, 220, 440]), "slaney") == pytest.approx([0.9, 1.65, 3.3, 6.6])
    assert prepare_mel.to_hz(np.arange(1.0, 6), "slaney") == pytest.approx(
        [66.667, 133.333, 200, 266.667, 333.333], abs=1e-3
    )
    assert prepare_mel.to_mel(np.array([1000.0]), "htk") == pytest.approx(
        [1000], abs=0.02
    )  # what HTK's scale is made for
    for scale in ("htk", "slaney"):
        hertz = np.array([0.0, 500, 999, 1001, 8000])
        assert prepare_mel.to_hz(prepare_mel.to_mel(hertz, scale), scale) == pytest.approx(hertz)


def test_shapes_orders_and_scaling() -> None:
    plain = made(MelInput("mel"))[0]
    other = made(MelInput("mel", frames_first=True, shape=(98, 40, 1), mean=2.0, std=4.0))
    assert other[:, :, 0] == pytest.approx((plain.T - 2) / 4, abs=1e-6)
    with pytest.raises(ValueError, match="shape .* is not that of bands, frames"):
        MelInput("mel", shape=(98, 40))


def test_short_recordings_have_zeros_behind_and_long_ones_are_cut() -> None:
    how = MelInput("mel", seconds=0.5)
    whole = made(how, np.concatenate([SOUND[:4000], np.zeros(4000)]))
    assert np.array_equal(made(how, SOUND[:4000]), whole)
    assert np.array_equal(made(how, SOUND), made(how, SOUND[:8000]))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_recordings_of_every_width_are_read_and_channels_are_mixed(tmp_path: Path, width: int) -> None:
    values = np.array([[0.5, 0.0], [-0.5, -0.25], [0.25, 0.25]])
    full = 2 ** (8 * width - 1)
    stored = [int(value * full) + (128 if width == 1 else 0) for value in values.ravel()]
    data = b"".join(struct.pack("<q", value)[:width] for value in stored)
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)
    assert prepare_mel.read_recording(tmp_path / "x.wav", 8000) == pytest.approx([0.25, -0.375, 0.25])
    with pytest.raises(ValueError, match=r"has 8000 samples a second, and \[preprocess\] rate is 16000"):
        prepare_mel.read_recording(tmp_path / "x.wav", 16000)


def riff(kind: int, bits: int, data: bytes, behind: bytes = b"") -> bytes:
    """A .wav file of two channels, with what some programs write before the samples."""
    width = 2 * bits // 8
    form = struct.pack("<HHIIHH", kind, 2, 8000, 8000 * width, width, bits) + behind
    chunks = [(b"fmt ", form), (b"fact", bytes(4)), (b"LIST", b"odd"), (b"data", data)]
    body = b"".join(name + struct.pack("<I", len(own)) + own + bytes(len(own) % 2) for name, own in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


@pytest.mark.parametrize(("kind", "bits"), [(3, 32), (3, 64), (0xFFFE, 24), (0xFFFE, 32)])
def test_floats_and_formats_that_are_said_further_on_are_read(tmp_path: Path, kind: int, bits: int) -> None:
    values = np.array([0.5, 0.0, -0.5, -0.25, 0.25, 0.25])
    if kind == 3 or bits == 32:
        data = values.astype(f"<f{bits // 8}").tobytes()
    else:
        data = b"".join(struct.pack("<q", int(value * 2**23))[:3] for value in values)
    behind = b"" if kind == 3 else struct.pack("<HHIH", 22, bits, 3, 3 if bits == 32 else 1) + bytes(14)
    (tmp_path / "x.wav").write_bytes(riff(kind, bits, data, behind))
    assert prepare_mel.read_recording(tmp_path / "x.wav", 8000) == pytest.approx([0.25, -0.375, 0.25])


@pytest.mark.parametrize(("kind", "bits"), [(6, 8), (2, 4), (3, 16)])
def test_other_formats_are_named_with_what_to_do(tmp_path: Path, kind: int, bits: int) -> None:
    (tmp_path / "x.wav").write_bytes(riff(kind, bits, bytes(64)))
    with pytest.raises(ValueError, match=rf"unknown format: {kind} of {bits} bits \(save it as 16-bit PCM\)"):
        prepare_mel.read_recording(tmp_path / "x.wav", 8000)


def test_16_bit_samples_are_shares_of_the_full_scale() -> None:
    whole = np.clip(np.rint(SOUND * 32768), -32768, 32767).astype(np.int16)
    assert made(MelInput("mel"), whole) == pytest.approx(made(MelInput("mel"), whole / 32768), abs=1e-6)
