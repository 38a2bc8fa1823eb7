"""Folders of recordings by class: prepared by the file that a bundle carries, refused in one line."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec import dataset
from edgebuild.spec.preprocess import MelInput
from tests.data.conftest import HEAD, Load

AUDIO = '[data]\nuse = "audio"\nfolder = "../../sounds"\n'
MEL = '[preprocess]\nkind = "mel"\nrate = 8000\nseconds = 0.1\nwindow = 200\nhop = 100\nfft = 256\nbands = 8\n'
SOUNDS = HEAD.replace("[3, 4, 4]", "[1, 8, 7]")


def record(path: Path, samples: np.ndarray, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """10 cats of 0.1 s, some of them indoors, and 20 dogs that are too short."""
    rng = np.random.default_rng(0)
    for number in range(10):
        place = "indoors" if number % 2 else "."
        record(tmp_path / "sounds" / "cat" / place / f"{number:02}.wav", rng.normal(0, 3000, 800))
    for number in range(20):
        record(tmp_path / "sounds" / "dog" / f"{number:02}.wav", rng.normal(0, 3000, 300 + 10 * number))
    return tmp_path / "sounds"


def test_recordings_become_spectrograms_by_class(load: Load, sounds: Path) -> None:
    out = load(MEL + AUDIO, SOUNDS)
    assert dataset.examples(out) == {"train": 22, "validation": 2, "test": 6}
    how = MelInput("mel", rate=8000, seconds=0.1, window=200, hop=100, fft=256, bands=8)
    every = {how.fit(how.read(path))[0].tobytes(): path.parent.name == "dog" for path in sounds.rglob("dog/*.wav")}
    test = dataset.read(out, "test")
    dogs = [every.get(row.tobytes(), False) for row in np.asarray(test.inputs[0])]
    assert dogs == test.labels[0].tolist()


def test_folders_below_those_of_classes_name_slices(load: Load, sounds: Path) -> None:
    out = load(MEL + AUDIO + "slices = true\ntest = 0.5\n", SOUNDS)
    (name, mask), *others = dataset.slices(out).items()
    assert (name, others) == ("indoors", [])
    assert 0 < mask.sum() < 6
    assert (dataset.read(out, "test").labels[0][mask] == 0).all()


KEY = "models/m/model.toml: "


def test_what_is_no_recording_is_named(refused: Callable[..., str], sounds: Path) -> None:
    (sounds / "dog" / "07.wav").write_bytes(b"RIFF broken")
    line = refused(MEL + AUDIO, SOUNDS)
    assert line.startswith(
        f"{KEY}data.folder: '../../sounds/dog/07.wav' is no recording that can be read: is no PCM .w"
    )


def test_another_rate_is_told(refused: Callable[..., str], sounds: Path) -> None:
    record(sounds / "dog" / "07.wav", np.zeros(900), 16000)
    told = "'../../sounds/dog/07.wav' is no recording that can be read: has 16000 samples a second, and [preproc"
    assert refused(MEL + AUDIO, SOUNDS).startswith(f"{KEY}data.folder: {told}")


def test_another_kind_of_preprocessing_is_told(refused: Callable[..., str], sounds: Path) -> None:
    told = "preprocess: is missing: it says how a recording becomes the model's input"
    assert refused(AUDIO, SOUNDS) == KEY + told
    pictures = "[preprocess]\nwidth = 4\nheight = 4\nchannels = 3\n"
    assert refused(pictures + AUDIO) == KEY + told


def test_a_declaration_of_other_sizes_is_told(refused: Callable[..., str], sounds: Path) -> None:
    told = "preprocess makes one float32 input of shape [1, 8, 7]; inputs says otherwise"
    assert refused(MEL + AUDIO) == KEY + told
    assert (
        refused(MEL.replace("256", "128") + AUDIO, SOUNDS)
        == f"{KEY}preprocess: fft is 128, less than the window of 200"
    )
    assert refused(MEL.replace('"mel"', '"mfcc"') + AUDIO, SOUNDS).startswith(f"{KEY}preprocess")


@pytest.mark.parametrize(
    ("kept", "size", "told"),
    [
        (100, None, "is cut off: 56 of 1600 bytes of samples are there"),
        (44, 0, "holds no samples"),
        (20, None, "is no PCM .wav file: it ends before its samples"),
        (None, 2**32 - 1, None),  # written to a pipe
    ],
)
def test_a_recording_that_is_not_whole_is_refused(
    load: Load, refused: Callable[..., str], sounds: Path, kept: int | None, size: int | None, told: str | None
) -> None:
    path = sounds / "dog" / "07.wav"
    record(path, np.ones(800))
    whole = path.read_bytes()
    if size is not None:
        whole = whole[:40] + size.to_bytes(4, "little") + whole[44:]
    path.write_bytes(whole[:kept])
    if told is None:
        assert dataset.examples(load(MEL + AUDIO, SOUNDS))["train"] == 22
    else:
        assert refused(MEL + AUDIO, SOUNDS).endswith(
            f"'../../sounds/dog/07.wav' is no recording that can be read: {told}"
        )
