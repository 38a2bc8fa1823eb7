"""What sources that are modules of PyTorch have in common: weights that are trained, or read."""

from __future__ import annotations

from edgebuild.nn.network import Network
from edgebuild.spec import tasks
from edgebuild.spec.model import ModelSpec, Training
from edgebuild.spec.source import Making, ProjectFile
from edgebuild.steps.import_weights import ImportWeights
from edgebuild.steps.train import Train


def making(model: ModelSpec, builder: str | Network, weights: str | None, key: str, training: Training) -> Making:
    """What reads the weights, which model.toml names at `key`; without any, what trains the module."""
    declared = model.declared
    built, shared = (builder, declared.signature.bare), (declared.augment, model.origin)
    if weights is None:
        return Making(Train(*built, training, *shared), trains=True, code=tasks.modules(declared.heads))
    step = ImportWeights(*built, *shared, shown=f"{model.origin}/{weights}")
    return Making(step, {"weights": (ProjectFile(weights, key),)})
