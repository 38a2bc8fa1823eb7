"""Has a peer quantize a float file in its own environment, or, for a short run, in ours."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import _environments
from edgebuild.spec import layout
from edgebuild.spec.errors import StepError

_TIMEOUT = 900  # seconds
_WORDS, _ERROR = re.compile(r"[a-zA-Z]{3}"), re.compile(r"\b\w*(Error|Exception|error)\b|ERROR")
Layouts = Mapping[str, Sequence[str | None]]


def quantize(peer: str, model: Path, examples: Path, output: Path, *, here: bool, options: Sequence[str] = ()) -> None:
    """Write the peer's int8 file of the float file `model` to `output`, in a folder of its own.

    StepError with the last line of what the peer said where it fails, leaves no file, or takes too long.
    """
    script = _environments.HERE / peer / "quantize.py"
    interpreter = Path(sys.executable) if here else _environments.python(script.parent)
    output.parent.mkdir(parents=True)
    command = [str(interpreter), str(script), str(model), str(examples), str(output), *options]
    with (output.parent / "said").open("w+", errors="replace") as said:
        try:
            done = subprocess.run(
                command, check=False, cwd=output.parent, stdout=said, stderr=subprocess.STDOUT, timeout=_TIMEOUT
            )
        except subprocess.TimeoutExpired:
            raise StepError(f"{peer} takes longer than {_TIMEOUT} s") from None
        said.seek(0)
        lines = [line.strip() for line in said if _WORDS.search(line)]
    if done.returncode != 0 or not output.is_file():
        raise StepError(f"{peer} ends with {done.returncode}: {_reason(lines)}")


def _reason(lines: Sequence[str]) -> str:
    """The last line that names an error; a process that was started by the peer only tells how it ended."""
    errors = [line for line in lines if _ERROR.search(line) and "CalledProcessError" not in line]
    return (errors or [*lines] or ["it said nothing"])[-1]


def as_taken(pictures: Any, layouts: Layouts) -> Any:
    """Pictures [N, C, H, W] as a file with these layouts takes them."""
    return pictures.transpose(0, 2, 3, 1) if layouts.get("inputs") == [layout.NHWC] else pictures
