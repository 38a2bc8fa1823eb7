"""What travels to a device: Python 3.9, numpy and the model's runtime, nothing of ours beside these files."""

from __future__ import annotations

from pathlib import Path

# A travelling program finds these beside it.
VALUES = "model_values.py"
LOADERS = tuple(sorted(path.name for path in Path(__file__).parent.glob("load_*.py")))
RUNNER = ("runner.py", *sorted(path.name for path in Path(__file__).parent.glob("runner_*.py")), VALUES, *LOADERS)
DECODER, BUNDLE_RUNNER, BOXES = "decoder.py", "run.py", "boxes.py"


def bundled(preprocess: str | None) -> tuple[str, ...]:
    """What a bundle has beside its model files and their loaders, with what prepares its inputs and draws on them."""
    of_inputs = () if preprocess is None else (f"prepare_{preprocess}.py", f"draw_{preprocess}.py")
    return (BUNDLE_RUNNER, VALUES, *(name for name in of_inputs if file(name).is_file()))


def file(name: str) -> Path:
    """Where the file of this name is."""
    return Path(__file__).with_name(name)
