"""Olive's static quantization pass with its defaults, run as a workflow."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

SCRIPT = str(Path(__file__).resolve())


def register() -> None:
    """Make the calibration examples known to Olive by name; it imports this file to find them."""
    from olive.data.registry import Registry

    @Registry.register_dataset()
    def examples(data_dir: str, **_: object) -> "Examples":
        return Examples(data_dir)


class Examples:
    """Pairs of what the model takes, without the batch's axis, and a label that nobody reads."""

    def __init__(self, path: str) -> None:
        self._values = np.load(path)["0"]

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._values)

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """One example by the name of the model's input."""
        return {os.environ["INPUT"]: self._values[number]}, 0


def main(model: Path, examples: Path, output: Path) -> None:
    """Quantize `model` with the examples (array "0") into `output`."""
    import onnx
    from olive import run

    os.environ["INPUT"] = onnx.load(model).graph.input[0].name
    data = {
        "name": "calibration",
        "user_script": SCRIPT,
        "load_dataset_config": {"type": "examples", "params": {"data_dir": str(examples)}},
        "dataloader_config": {"params": {"batch_size": 1}},
    }
    run(
        {
            "input_model": {"type": "ONNXModel", "model_path": str(model)},
            "data_configs": [data],
            "passes": {"quantize": {"type": "OnnxStaticQuantization", "data_config": "calibration"}},
            "output_dir": str(output.parent / "olive"),
            "cache_dir": str(output.parent / "cache"),
            "no_artifacts": False,
        }
    )
    made = list((output.parent / "olive").rglob("*.onnx"))
    shutil.copyfile(made[0], output)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
else:
    register()
