"""A torch model as an artifact: weights, what pruning changed, and the code that builds it; no pickle, same bytes.

`weights.safetensors` holds the tensors, `torch.json` the builder (a function of the code, or the network of a package),
its inputs, the parts that stand in the place of others (`swaps`), the attributes in which the module differs from what
these make (`out_channels` of a pruned convolution) and the names of its sparse parameters, `code/` the model's own
code, where it has any.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn import state_dict
from edgebuild.nn.model_code import ModelCode, example
from edgebuild.nn.network import Network
from edgebuild.nn.plain import plain
from edgebuild.nn.prune.narrow import narrowed
from edgebuild.nn.restructure import swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec.signature import Signature, TensorSpec, tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.train.training import Augment

WEIGHTS = "weights.safetensors"
DESCRIPTION = "torch.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A built and filled module, and where it came from; `outputs` are those that its model declares.

    `sparse` names the parameters that were pruned weight by weight: what is zero in them must stay zero in training.
    `swaps` are the parts that stand where its code builds others, in the order in which they came.
    """

    module: nn.Module
    code: ModelCode
    builder: str | Network
    inputs: tuple[TensorSpec, ...]
    augment: str | None = None
    sparse: tuple[str, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    fit: str | None = None
    swaps: tuple[Swap, ...] = ()

    @property
    def signature(self) -> Signature:
        """What it takes and gives, by name."""
        return Signature(self.inputs, self.outputs)

    def sparse_parameters(self) -> list[nn.Parameter]:
        """The parameters whose zeros `training.fit` must hold."""
        return [self.module.get_parameter(name) for name in self.sparse]

    def augmentation(self) -> Augment | None:
        """The model's own augmentation of training examples, if it declares one."""
        return self.code.function(self.augment, "augment") if self.augment else None

    def example(self, batch: int = 1) -> tuple[Tensor, ...]:
        """Zeros that the module accepts."""
        return example(self.inputs, batch)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint into `folder`, which must exist; weights that the module derives become plain ones."""
    from safetensors.torch import save_file

    fresh = plain(checkpoint.code.build(checkpoint.builder, checkpoint.inputs))
    plain(checkpoint.module)
    swaps.apply(fresh, checkpoint.swaps)
    description = {
        "builder": _described(checkpoint.builder),
        "origin": checkpoint.code.origin,
        "inputs": [asdict(spec) for spec in checkpoint.inputs],
        "outputs": [asdict(spec) for spec in checkpoint.outputs],
        "augment": checkpoint.augment,
        "fit": checkpoint.fit,
        "sparse": checkpoint.sparse,
        "structure": structure(checkpoint.module, fresh),
        "swaps": [asdict(swap) for swap in checkpoint.swaps],
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    save_file({name: _plain(t) for name, t in checkpoint.module.state_dict().items()}, folder / WEIGHTS)
    if checkpoint.code.folder is not None:
        shutil.copytree(checkpoint.code.folder, folder / "code", copy_function=shutil.copyfile)


def load(folder: Path) -> Checkpoint:
    """Build the module anew, give it the saved structure and fill it; in eval mode."""
    from safetensors.torch import load_file

    module, code, builder, described = _built(folder)
    other = _swaps(described)
    inputs, outputs = tensors(described["inputs"]), tensors(described["outputs"])
    resize(module, folder / WEIGHTS)
    narrowed(module)
    state_dict.fit(module, load_file(folder / WEIGHTS), f"{code.origin}: {WEIGHTS}")
    sparse = tuple(described["sparse"])
    augment, fit = described["augment"], described.get("fit")
    return Checkpoint(module.eval(), code, builder, inputs, augment, sparse, outputs, fit, other)


def unfilled(folder: Path) -> nn.Module:
    """The module of an artifact as it is built anew and then changed; no weights are read, nor their shapes."""
    return _built(folder)[0]


def _built(folder: Path) -> tuple[nn.Module, ModelCode, str | Network, dict[str, Any]]:
    """The module with the saved structure, what built it, and all that is written of it."""
    described = json.loads((folder / DESCRIPTION).read_text())
    own = folder / "code"
    code, builder = ModelCode(own if own.is_dir() else None, described["origin"]), _builder(described["builder"])
    module = plain(code.build(builder, tensors(described["inputs"])))
    swaps.apply(module, _swaps(described))
    reshape(module, described["structure"])
    return module, code, builder, described


def _swaps(described: dict[str, Any]) -> tuple[Swap, ...]:
    """The parts that are others than as built."""
    return tuple(Swap(one["path"], one["part"], tuple(one["sizes"])) for one in described.get("swaps", ()))


def _described(builder: str | Network) -> str | dict[str, Any]:
    """As `torch.json` has it; the versions of what builds a network count, and are not read back."""
    return builder if isinstance(builder, str) else asdict(builder) | {"versions": builder.versions()}


def _builder(described: Any) -> str | Network:
    if isinstance(described, str):
        return described
    return Network(described["use"], described["name"], described["options"])


def structure(module: nn.Module, fresh: nn.Module) -> dict[str, dict[str, Any]]:
    """{sub-module: {attribute: value}} for each public whole-number attribute (or tuple of them) that differs."""
    built, kept = dict(fresh.named_modules()), dict(module.named_modules())
    if built.keys() != kept.keys():
        raise ValueError(f"other sub-modules than as built: {sorted(built.keys() ^ kept.keys())}")
    differences = {name: dict(_changed(kept[name], built[name])) for name in kept}
    return {name: changed for name, changed in differences.items() if changed}


def _changed(module: nn.Module, built: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        plain = not name.startswith("_") and name != "training" and _whole(value)
        if plain and value != getattr(built, name, None):
            yield name, value


def _whole(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_whole(item) for item in value)
    return isinstance(value, int)


def reshape(module: nn.Module, attributes: dict[str, dict[str, Any]]) -> None:
    """Set the recorded attributes on a freshly built module; JSON has no tuples, so types follow what is there."""
    parts = dict(module.named_modules())
    for part, changed in attributes.items():
        for name, value in changed.items():
            setattr(parts[part], name, type(getattr(parts[part], name))(value))


def resize(module: nn.Module, weights: Path) -> None:
    """Give every tensor the shape that it has in the file: the other half of what pruning changed."""
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)
    for name, old in module.state_dict(keep_vars=True).items():
        if name in shapes and list(old.shape) != shapes[name]:
            _replace(module, name, old, old.new_empty(shapes[name]))


def _replace(module: nn.Module, name: str, old: Tensor, new: Tensor) -> None:
    from torch import nn

    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(old, nn.Parameter):
        setattr(owner, leaf, nn.Parameter(new, requires_grad=old.requires_grad))
    else:
        owner._buffers[leaf] = new


def _plain(tensor: Tensor) -> Tensor:
    """Its own contiguous copy: safetensors refuses shared and channels-last storage."""
    import torch

    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
