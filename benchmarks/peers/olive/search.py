"""Olive's own search (TPE, joint) over its quantizations of a float file.

What it has tried lies in its cache as it goes: whoever started this may end it at any time and read there.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import quantize as own
from olive import run

SCRIPT = str(Path(__file__).resolve())
PASSES = ("OnnxStaticQuantization", "OnnxDynamicQuantization", "OnnxFloatToFloat16")


def register() -> None:
    """Make the held-out examples known to Olive by name; it imports this file to find them."""
    from olive.data.registry import Registry

    own.register()

    @Registry.register_dataset()
    def held(data_dir: str, **_: object) -> "Held":
        return Held(data_dir)

    @Registry.register_post_process()
    def choice(logits: Any, **_: object) -> Any:
        return logits.argmax(-1)


class Held(own.Examples):
    """The examples with the labels that belong to them."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        with np.load(path) as held:
            self._labels = held["labels"]

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """One example by the names of the model's inputs, and its class."""
        return super().__getitem__(number)[0], int(self._labels[number])


def main(model: Path, examples: Path, held: Path, output: Path, minutes: str, recipes: str) -> None:
    """Search for so long or so many; what was tried is in `output`/cache."""
    os.environ["INPUTS"] = own.inputs(model)
    validation = {"data_config": "held", "backend": "torch_metrics"}
    accuracy = {
        "name": "accuracy_score",
        "priority": 1,
        "higher_is_better": True,
        "metric_config": {"task": "multiclass", "num_classes": 10},
        "goal": {"type": "max-degradation", "value": 0.01},
    }
    metrics = [
        {"name": "accuracy", "type": "accuracy", "sub_types": [accuracy], **validation},
        {"name": "latency", "type": "latency", "sub_types": [{"name": "avg", "priority": 2}], "data_config": "held"},
        {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 3}]},
    ]
    strategy = {
        "execution_order": "joint",
        "sampler": "tpe",
        "sampler_config": {"multivariate": True, "group": True, "seed": 0},
        "max_iter": int(recipes),
        "max_time": int(60 * float(minutes)),
    }
    passes = [{"type": kind} | ({"data_config": "calibration"} if "Static" in kind else {}) for kind in PASSES]
    run(
        {
            "input_model": {"type": "ONNXModel", "model_path": str(model)},
            "data_configs": [_data("calibration", "examples", examples), _data("held", "held", held)],
            "evaluators": {"all": {"type": "OnnxEvaluator", "metrics": metrics}},
            "passes": {"numbers": passes},
            "evaluator": "all",
            "search_strategy": strategy,
            "output_dir": str(output / "olive"),
            "cache_dir": str(output / "cache"),
        }
    )


def _data(name: str, dataset: str, file: Path) -> dict[str, object]:
    return {
        "name": name,
        "user_script": SCRIPT,
        "load_dataset_config": {"type": dataset, "params": {"data_dir": str(file)}},
        "dataloader_config": {"params": {"batch_size": 1}},
        "post_process_data_config": {"type": "choice"},
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]), *sys.argv[5:])
else:
    register()
