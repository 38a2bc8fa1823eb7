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
        with np.load(path) as held:
            self._values = {name: held[str(place)] for place, name in enumerate(os.environ["INPUTS"].split("\n"))}

    def __len__(self) -> int:
        """The number of examples."""
        return min(map(len, self._values.values()))

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """One example by the names of the model's inputs."""
        return {name: values[number] for name, values in self._values.items()}, 0


def inputs(model: Path) -> str:
    """Names of what a model takes, a line each: they reach what Olive imports of this file by the environment."""
    import onnx

    graph = onnx.load(model).graph
    constants = {tensor.name for tensor in graph.initializer}
    return "\n".join(value.name for value in graph.input if value.name not in constants)


def main(model: Path, examples: Path, output: Path) -> None:
    """Quantize `model` with the examples (arrays "0", "1" … of its inputs) into `output`."""
    from olive import run

    os.environ["INPUTS"] = inputs(model)
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
