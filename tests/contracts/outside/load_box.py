"""Opens .box models, where they travel: an ONNX file behind four bytes, in ONNX Runtime."""

import os

try:
    import model_values as values
except ImportError:
    from edgebuild.travels import model_values as values

SUFFIXES = (".box",)
PACKAGES = ("onnxruntime",)
TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


class Model(values.AnyModel):
    """A .box model, from its path or its content."""

    layerless = "ONNX Runtime is not asked for the time of operators"

    def __init__(self, model, spec):
        if isinstance(model, str):
            with open(model, "rb") as file:
                model = file.read()
        ort = self.runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(spec.get("threads", 1))
        self._session = ort.InferenceSession(model[4:], options, providers=["CPUExecutionProvider"])
        self.inputs = values.laid_out([port(value) for value in self._session.get_inputs()], spec, values.INPUTS)
        self.outputs = values.laid_out([port(value) for value in self._session.get_outputs()], spec, values.OUTPUTS)

    @staticmethod
    def runtime():
        """The module that executes models."""
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        return values.import_first("onnxruntime")

    def run(self, feed):
        """Raw outputs for raw inputs, by position."""
        return list(self._session.run(None, {port.name: value for port, value in zip(self.inputs, feed)}))


def port(value):
    """An input or output as the file has it."""
    return values.Port(value.name, value.name, tuple(value.shape), TYPES[value.type])
