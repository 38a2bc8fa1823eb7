"""What a model file says of itself, whatever its format."""

from __future__ import annotations

from pathlib import Path

from edgebuild.spec.registry import FORMATS


def layouts(path: Path) -> dict[str, list[str | None]]:
    """The layouts of a model file's inputs and outputs as a job names them; empty where all are as in PyTorch."""
    kind = next((kind for kind in FORMATS.usable().values() if Path(kind.file).suffix == path.suffix), None)
    inputs, outputs = kind().layouts_of(path.read_bytes()) if kind else ((), ())
    return {"inputs": list(inputs), "outputs": list(outputs)} if any((*inputs, *outputs)) else {}
