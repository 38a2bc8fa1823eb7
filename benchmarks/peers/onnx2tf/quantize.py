"""onnx2tf's integer TFLite file by its own command, inputs in the order of the ONNX file.

By its default backend, and where that refuses the model by TensorFlow's converter, which it has as the way out.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx


def main(model: Path, examples: Path, output: Path) -> None:
    """Quantize `model` with the examples (arrays "0", "1" … [N, …] of its inputs) into `output`."""
    graph = onnx.load(model).graph
    constants = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in constants]
    folder, command = output.parent / "onnx2tf", [str(Path(sys.executable).parent / "onnx2tf"), "-i", str(model)]
    shapes = []
    with np.load(examples) as held:
        for place, name in enumerate(names):
            values, file = held[str(place)], output.parent / f"{place}.npy"
            np.save(file, values)
            shapes.append(f"{name}:{','.join(map(str, (1, *values.shape[1:])))}")
            command += ["-cind", name, str(file), "[0.0]", "[1.0]"]  # neither moved nor scaled
    # Inputs of rank 3 and more would become channels last, also where they were already.
    command += ["-o", str(folder), "-oiqt", "-ois", *shapes, "-kat", *names, "-n"]
    if subprocess.run(command, check=False).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([*command, "--tflite_backend", "tf_converter"], check=True)
    made = sorted(folder.glob("*_integer_quant.tflite"), key=lambda path: len(path.name))
    output.write_bytes(made[0].read_bytes())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
