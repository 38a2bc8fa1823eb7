"""A bundle of a model of recordings or of texts: its run.py prepares a file as the data of the model was prepared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgebuild.data.function import Function
from edgebuild.spec import dataset
from edgebuild.spec.preprocess import MelInput, Preprocess, WindowInput, WordpieceInput
from edgebuild.spec.signature import Head, Signature, TensorSpec
from edgebuild.steps.load_data import LoadData
from tests import tiny
from tests.bundle.test_assemble import assemble, execute
from tests.data.test_audio import record

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "small", "##er", "number", "##s", "!"]


def both_ways(bundle: Path, how: Preprocess, shown: Path) -> tuple[str, str]:
    """What run.py answers to a file, and to what the data set would keep of it."""
    values = [values[None] for values in how.fit(how.read(shown))]
    np.save(bundle.parent / "values.npy", values[0])
    return tuple(execute(bundle, str(path)).partition(": ")[2] for path in (shown, bundle.parent / "values.npy"))


def test_a_recording_is_prepared_as_in_the_data(made: tiny.Made, tmp_path: Path) -> None:
    how = MelInput("mel", 8000, 0.1625, 200, 100, 256, 12)
    bundle = assemble(made, tmp_path, "onnx", preprocess=how) / "bundle"
    record(tmp_path / "x.wav", np.random.default_rng(0).normal(0, 3000, 900))
    answers = both_ways(bundle, how, tmp_path / "x.wav")
    assert answers[0] == answers[1]
    assert (bundle / "sample.npy").is_file()
    record(tmp_path / "y.wav", np.zeros(9), 16000)
    assert "has 16000 samples a second" in execute(bundle, str(tmp_path / "y.wav"), expect=1)


def test_a_window_of_signals_is_prepared_as_in_the_data(made: tiny.Made, tmp_path: Path) -> None:
    names = tuple(f"s{k}" for k in range(12))
    how = WindowInput("window", names, 12, std=(50.0,), shape=(1, 12, 12))
    bundle = assemble(made, tmp_path, "onnx", preprocess=how) / "bundle"
    rows = np.random.default_rng(0).normal(0, 100, (14, 12)).tolist()
    lines = [",".join(map(str, row)) for row in [["x", *reversed(names)], *([0, *row] for row in rows)]]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    answers = both_ways(bundle, how, tmp_path / "x.csv")
    assert answers[0] == answers[1]
    (tmp_path / "y.csv").write_text("\n".join(lines[:9]))
    assert "has 8 samples, and a window has 12" in execute(bundle, str(tmp_path / "y.csv"), expect=1)


def test_a_text_is_prepared_as_in_the_data(tokens: tiny.Made, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    assert tokens["data"].is_dir()
    shutil.copytree(tokens.root, tmp_path / "copy")
    dataset.keep_file(tmp_path / "copy" / "data", tmp_path / "vocab.txt")
    how = WordpieceInput("wordpiece", str(tmp_path / "vocab.txt"), 7, ids="words", mask=None)
    bundle = assemble(tiny.Made("tokens", tmp_path / "copy"), tmp_path, "onnx", preprocess=how) / "bundle"
    (tmp_path / "vocab.txt").rename(tmp_path / "gone.txt")
    assert json.loads((bundle / "preprocess.json").read_text())["vocabulary"] == "vocab.txt"
    assert (bundle / "vocab.txt").read_text().split() == VOCABULARY
    (tmp_path / "x.txt").write_text("Smaller numbers!")
    shown = execute(bundle, str(tmp_path / "x.txt")).partition(": ")[2]
    np.save(tmp_path / "values.npy", np.array([[2, 4, 5, 6, 7, 8, 3]]))
    assert shown == execute(bundle, str(tmp_path / "values.npy")).partition(": ")[2]


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_recordings_in_arrays_are_prepared_on_their_way_to_disk(tmp_path: Path, kind: str) -> None:
    """The same file prepares them."""
    how = MelInput("mel", 8000, 0.1, 200, 100, 256, 8)
    sounds = np.random.default_rng(0).normal(0, 3000, (4, 800)).astype("int16")
    (tmp_path / "code").mkdir()
    np.save(tmp_path / "code" / "x.npy", sounds if kind == "int16" else (sounds / 32768).astype(kind))
    code = """
from pathlib import Path
import numpy as np
x, y = np.load(Path(__file__).with_name("x.npy")), [0, 1, 0, 1]
def load():
    return {"train": (x, y), "validation": (x, y), "test": list(zip(x, y))}
"""
    (tmp_path / "code" / "model.py").write_text(code)
    signature = Signature((TensorSpec("sound", (1, 8, 7)),), (TensorSpec("output", (2,)),))
    step = LoadData(Function("load"), signature, (Head("output", "classification"),), preprocess=how)
    out = tiny.perform(step, tmp_path / "out", {"code": ("code", tmp_path / "code")})
    expected = np.stack([how.fit(sound)[0] for sound in sounds])
    for split in ("train", "test"):
        assert np.asarray(dataset.read(out, split).inputs[0]) == pytest.approx(expected, abs=1e-5)
