"""ONNX → torch: a file of anyone's as a module with real layers, that can be trained, pruned and converted again.

    module = lift(model, sizes={"sequence_length": 128}, constants={"sr": numpy.int64(16000)})
    proof = prove(module, model, sizes=…, constants=…)

`lift` refuses with a `LiftError` that names the node; the caller then works with the file as it is. `prove` holds the
module against the file in ONNX Runtime. `skeleton` is the file without its weights, from which `lift` makes a module
with the same names: beside `weights.safetensors` it is the whole model, and no code.
"""

from edgebuild.nn.lift.errors import LiftError
from edgebuild.nn.lift.lift import lift
from edgebuild.nn.lift.proof import Difference, Proof, prove
from edgebuild.nn.lift.skeleton import skeleton

__all__ = ["Difference", "LiftError", "Proof", "lift", "prove", "skeleton"]
