"""What opens a model leaves nothing behind at the user's: no identifier, no report to the maker of a runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgebuild.travels import load_onnx
from tests import tiny

OPEN = "import sys; sys.path.insert(0, sys.argv[1]); import load_onnx; load_onnx.Model(sys.argv[2], {})"


@pytest.mark.parametrize("opener", [OPEN, "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[2])"])
def test_only_a_runtime_that_is_opened_by_itself_writes_below_home(
    made: tiny.Made, tmp_path: Path, opener: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", opener, str(Path(load_onnx.__file__).parent), str(made.file("onnx"))]
    done = subprocess.run(command, env={"HOME": str(home), "PATH": ""}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert bool(list(home.iterdir())) == (opener != OPEN)
