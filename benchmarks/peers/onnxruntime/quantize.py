"""Plain ONNX Runtime: pre-processing and static QDQ quantization per channel, as its documentation advises."""

import sys
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """One example at a time."""

    def __init__(self, examples: np.ndarray, name: str) -> None:
        self._feeds = iter([{name: examples[k : k + 1]} for k in range(len(examples))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next example."""
        return next(self._feeds, None)


def main(model: Path, examples: Path, output: Path, *, per_channel: bool) -> None:
    """Quantize `model` with the examples (array "0") into `output`; per tensor is its default."""
    import onnx

    ready = output.with_suffix(".ready.onnx")
    quant_pre_process(model, ready)
    name = onnx.load(ready).graph.input[0].name
    reader = Reader(np.load(examples)["0"], name)
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(ready, output, reader, per_channel=per_channel, **types)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), per_channel="per-tensor" not in sys.argv[4:])
