"""A bundle's run.py takes many files, tells machines what it answers, and draws what can be drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgebuild import travels
from edgebuild.travels import draw_image
from tests import tiny
from tests.bundle.test_assemble import PICTURE, assemble, execute


@pytest.fixture(scope="module")
def bundle(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(made, tmp_path_factory.mktemp("many"), "onnx", preprocess=PICTURE) / "bundle"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of two kinds, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 12, 12), dtype=np.uint8)
    Image.fromarray(pixels[0]).save(folder / "a.png")
    Image.fromarray(pixels[1]).save(folder / "b.JPG", format="jpeg")
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(bundle: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(bundle / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=typed, timeout=60)


def test_a_folder_stands_for_its_pictures(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    each = [execute(bundle, str(pictures / name)) for name in ("a.png", "b.JPG")]
    assert execute(bundle, str(pictures)) == "".join(each)
    (tmp_path / "empty").mkdir()
    assert "empty: no file in this folder ends in one of .bmp, " in execute(bundle, str(tmp_path / "empty"), expect=1)


def test_names_come_by_standard_input_and_what_cannot_be_read_stops_nothing(bundle: Path, pictures: Path) -> None:
    (pictures / "c.png").write_bytes((pictures / "a.png").read_bytes()[:40])
    names = [str(pictures / name) for name in ("c.png", "a.png", "none.png", "b.JPG")]
    done = run(bundle, "-", typed="\n".join(names) + "\n\n")
    assert done.stdout == execute(bundle, str(pictures / "a.png"), str(pictures / "b.JPG"))
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [names[0], names[2]]
    assert done.returncode == 1


def test_a_machine_reads_a_document_a_line(bundle: Path, pictures: Path) -> None:
    shown = execute(bundle, str(pictures)).splitlines()
    documents = [json.loads(line) for line in execute(bundle, str(pictures), "--json").splitlines()]
    assert [Path(one["file"]).name + ": " + one["text"] for one in documents] == shown
    ports = json.loads((bundle / "manifest.json").read_text())["outputs"]
    for one in documents:
        assert {name: [*np.shape(values)] for name, values in one["outputs"].items()} == {
            port["name"]: port["shape"][1:] for port in ports
        }


def test_areas_are_coloured_and_a_cropped_model_is_drawn_on_what_it_saw(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 100, np.uint8)).save(tmp_path / "x.png")
    how = {"width": 4, "height": 4, "channels": 1, "crop": None}
    draw_image.draw(tmp_path / "x.png", how, [], np.array([[0, 1], [2, 1]]), tmp_path / "y.png")
    seen = np.asarray(Image.open(tmp_path / "y.png"))
    assert seen.shape == (8, 8, 3)
    assert seen[0, 0].tolist() == [50, 50, 50]  # half of what was there, half of black
    assert seen[0, 7].tolist() == [114, 50, 50]  # and of (128, 0, 0)
    assert seen[7, 0].tolist() == [50, 114, 50]
    draw_image.draw(tmp_path / "x.png", how | {"crop": 1.0}, [], np.array([[1]]), tmp_path / "z.png")
    assert Image.open(tmp_path / "z.png").size == (4, 4)


def test_where_nothing_can_be_drawn_it_is_refused(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    done = run(bundle, str(pictures), "--draw", str(tmp_path / "out"))
    assert "answers nothing that could be drawn" in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("kind", sorted(path.stem for path in travels.file("run.py").parent.glob("prepare_*.py")))
def test_what_prepares_inputs_says_which_files_it_reads(kind: str) -> None:
    endings = import_module(f"edgebuild.travels.{kind}").ENDINGS
    assert endings
    assert all(ending == ending.lower() and ending.startswith(".") for ending in endings)
