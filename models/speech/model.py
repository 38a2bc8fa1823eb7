"""Speech: recordings cut into the windows that Silero VAD is fed, one after another.

Its own code (silero_vad/utils_vad.py) gives the network 512 samples at 16 kHz behind the last 64 of the window before.
"""

import wave
from pathlib import Path

import numpy as np

RATE, STEP, CONTEXT = 16000, 512, 64
PARTS = {"train": (0.0, 0.5), "validation": (0.5, 0.65), "test": (0.65, 1.0)}  # of every recording
LONGEST = 1500  # windows of a part: 48 s


def load(reads: dict[str, Path]) -> dict[str, object]:
    """Windows of each recording's parts in order, and which recording each is of. There are no labels."""
    (folder,) = reads.values()
    recordings = [windows(samples(path)) for path in sorted(folder.rglob("*.wav"))]
    if not recordings:
        raise FileNotFoundError(f"no .wav in {folder.name}: EDGEBUILD_SPEECH names a folder of 16 kHz recordings")
    splits, streams = {}, {}
    for name, (start, end) in PARTS.items():
        parts = [each[int(start * len(each)) : int(end * len(each))][:LONGEST] for each in recordings]
        splits[name] = (np.concatenate(parts), None)
        streams[name] = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return {**splits, "streams": streams}


def samples(path: Path) -> np.ndarray:
    """float32 [n] from -1 to 1, the first channel."""
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getsampwidth()) != (RATE, 2):
            raise ValueError(f"{path.name} has {file.getframerate()} Hz, 16 bit at {RATE} Hz are needed")
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return pcm[:: file.getnchannels()].astype(np.float32) / 32768


def windows(sound: np.ndarray) -> np.ndarray:
    """float32 [N, 576]: each with the last samples of the one before, zeros before the first."""
    count = len(sound) // STEP
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), sound])
    return np.stack([padded[STEP * k : STEP * k + CONTEXT + STEP] for k in range(count)])
