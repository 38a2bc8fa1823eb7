"""Plain LiteRT: ai-edge-quantizer's own static int8 recipe with its own calibration."""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe


def main(model: Path, examples: Path, output: Path) -> None:
    """Quantize `model` with the examples (array "0") into `output`."""
    job = quantizer.Quantizer(str(model), recipe.static_wi8_ai8())
    values = np.load(examples)["0"]
    (signature, ports), *_ = Interpreter(str(model)).get_signature_list().items()
    feeds = [{ports["inputs"][0]: values[k : k + 1]} for k in range(len(values))]
    ranges = job.calibrate({signature: feeds})
    output.write_bytes(bytes(job.quantize(ranges).quantized_model))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
