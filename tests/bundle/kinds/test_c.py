"""The C sources compile without a warning and hold the model's bytes, and golden values as the runtime takes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgebuild.bundle import golden, manifest
from edgebuild.travels import load_tflite
from tests.bundle.kinds.conftest import Package

PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "tiny_board_golden.h"
int main(void) {
    printf("%d %d %u %s %s\\n", TINY_BOARD_INPUT_0_RANK, TINY_BOARD_INPUT_0_ZERO_POINT,
           (unsigned)((uintptr_t)tiny_board % TINY_BOARD_ALIGNMENT), TINY_BOARD_INPUT_0_NAME,
           tiny_board_output_labels[3]);
    fwrite(tiny_board, 1, sizeof tiny_board, stdout);
    fwrite(tiny_board_golden_input_0, 1, sizeof tiny_board_golden_input_0, stdout);
    fwrite(tiny_board_golden_output_0, 1, sizeof tiny_board_golden_output_0, stdout);
    return 0;
}
"""
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O0")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt-get install gcc")
def test_a_program_that_links_them_has_the_model_and_what_it_must_answer(
    lite: Path, package: Package, tmp_path: Path
) -> None:
    folder = package(lite, "c")
    (tmp_path / "main.c").write_text(PROGRAM)
    sources = [tmp_path / "main.c", *folder.glob("*.c")]
    subprocess.run(["cc", *FLAGS, f"-I{folder}", *map(str, sources), "-o", str(tmp_path / "main")], check=True)
    head, _, rest = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.partition(b"\n")
    model = load_tflite.Model(str(lite / "model.tflite"), {})
    (taken,), (given,) = model.inputs, model.outputs
    assert head.decode() == f"4 {taken.zero_point} 0 image bottom right"
    stored = (lite / "model.tflite").read_bytes()
    assert rest[: len(stored)] == stored
    inputs = np.frombuffer(rest[len(stored) :], np.int8, 4 * 144).reshape(4, 1, 12, 12, 1)
    outputs = np.frombuffer(rest[len(stored) + inputs.size :], np.int8).reshape(4, 1, 4)
    for one, expected in zip(inputs, outputs, strict=True):
        assert np.array_equal(model.run([one])[0], expected)
    facts = manifest.verify_bundle(lite)
    assert facts.golden is not None
    (_, (real,)) = golden.read(lite, facts.golden)
    assert np.allclose((outputs[:, 0].astype(np.float32) - given.zero_point) * given.scale, real)


def test_the_sources_say_sizes_scales_and_standing(lite: Path, package: Package) -> None:
    text = (package(lite, "c", "--release", "2.0") / "tiny_board.h").read_text()
    assert f"#define TINY_BOARD_BYTES {(lite / 'model.tflite').stat().st_size}u" in text
    assert "#define TINY_BOARD_INPUT_0_SHAPE {1, 12, 12, 1}" in text
    assert "#define TINY_BOARD_INPUT_0_TYPE int8_t" in text
    assert "#define TINY_BOARD_RELEASED 1" in text
    assert '#define TINY_BOARD_VERSION "2.0"' in text
    scale = load_tflite.Model(str(lite / "model.tflite"), {}).inputs[0].scale
    shown = next(line.split()[-1] for line in text.splitlines() if "INPUT_0_SCALE" in line)
    assert np.float32(shown.rstrip("f")) == np.float32(scale)
