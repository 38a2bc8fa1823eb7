"""Writes what Keras 2 says of a model in the words of Keras 3, where that reads them in another sense or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgebuild.spec.errors import UsageError

HARD = "hard_sigmoid"  # 0.2 x + 0.5 in Keras 2, x / 6 + 0.5 in Keras 3, each held to 0 … 1
AXES = "axes"  # in the place of "axis" where Keras 3 would leave that out as it reads an .h5
OF_AXES = ("Softmax", "Normalization", "LayerNormalization")
_RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_UNGROUPED = ("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_SPATIAL = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
_MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras", "Model": "keras"}
_OWN = ("keras", "tf_keras", "tensorflow")  # what Keras 2 was called as it wrote the module of a class
# Arguments that Keras 3 has no more, of which Keras 2 wrote the value that changes nothing.
_DROPPED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_RECURRENT, ("time_major",)),
    **dict.fromkeys(_UNGROUPED, ("groups",)),
    **dict.fromkeys(_SEPARABLE, ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")),
    **dict.fromkeys(_SPATIAL, ("trainable", "noise_shape")),
}


def parts(described: Any) -> Iterator[dict[str, Any]]:
    """Everything with a class in a config, models and the layers within layers too."""
    if isinstance(described, dict):
        if isinstance(described.get("class_name"), str):
            yield described
        for value in described.values():
            yield from parts(value)
    elif isinstance(described, list):
        for value in described:
            yield from parts(value)


def rewrite(described: dict[str, Any], flat: bool) -> None:
    """The config (in place) of a model that Keras 2 saved; UsageError for layers that Keras 3 cannot be.

    flat: of an .h5, whose layers have no modules
    """
    for part in parts(described):
        config = part.get("config")
        if not isinstance(config, dict):
            continue
        kind = part["class_name"]
        if not flat:
            _placed(part, kind)
            if kind != "InputLayer":
                config.pop("batch_input_shape", None)
        if config.get("time_major"):
            reason = f"has the layer {config.get('name')!r} with time before the batch, which Keras 3 does not know"
            raise UsageError(reason, hint="export it to ONNX or as a SavedModel by the Keras that made it")
        if isinstance(policy := config.get("dtype"), dict) and isinstance(policy.get("config"), dict):
            config["dtype"] = policy["config"].get("name", "float32")
        _counted(config)
        for key in _DROPPED.get(kind, ()):
            config.pop(key, None)
        if kind == "GRU":
            config.setdefault("reset_after", False)  # as it was where nothing is said
        if kind == "BatchNormalization" and isinstance(axis := config.get("axis"), list) and len(axis) == 1:
            config["axis"] = axis[0]
        if kind == "ThresholdedReLU":
            part["class_name"], config["threshold"] = "ReLU", config.pop("theta", 1.0)
        for key in ("activation", "recurrent_activation"):
            if config.get(key) == HARD:
                config[key] = {
                    "module": "keras.activations",
                    "class_name": "function",
                    "config": HARD,
                    "registered_name": HARD,
                }


def _counted(config: dict[str, Any]) -> None:
    """Calls of a model within a model (in place), which Keras 2 counts from 1: its own making is 0 there."""
    layers = config.get("layers")
    listed = [one for one in layers if isinstance(one, dict)] if isinstance(layers, list) else []
    inner = {one.get("name") for one in listed if one.get("class_name") in _MODELS}
    for layer in listed:
        for call in layer.get("inbound_nodes") or []:
            for read in call if isinstance(call, list) else []:
                if isinstance(read, list) and len(read) > 1 and read[0] in inner and read[1] > 0:
                    read[1] -= 1


def keep_axes(described: dict[str, Any]) -> None:
    """Of an .h5 of any Keras (in place): several axes, or none, under a name that is not left out."""
    for part in parts(described):
        config = part.get("config")
        if part["class_name"] not in OF_AXES or not isinstance(config, dict):
            continue
        if isinstance(axis := config.get("axis"), list) and len(axis) != 1:
            config[AXES] = config.pop("axis")


def _placed(part: dict[str, Any], kind: str) -> None:
    """Keras 2 has models where its own code had them, of whatever package it was part."""
    module = part.get("module")
    if isinstance(module, str) and kind in _MODELS and module.partition(".")[0] in _OWN:
        part["module"] = _MODELS[kind]
