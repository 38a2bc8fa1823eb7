"""Where a layer or a parameter goes in the lifted module: under the name that it had before it was exported."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_NUMBERED = re.compile(r"(onnx::|/|val_|const_|_to_|Constant)")


def is_path(name: str) -> bool:
    """Whether an initializer is called as parameters of torch modules are: `features.0.weight`."""
    return bool(_PATH.fullmatch(name)) and not _NUMBERED.match(name)


def layer_path(node: str, weight: str, bias: str = "") -> str:
    """The name of a layer from that of its weight, its bias or, where exporters renamed both, its node."""
    for name, leaf in ((weight, ".weight"), (bias, ".bias")):
        own = name.rpartition("/")[2]  # before it stands the branch that held it
        if own.endswith(leaf) and is_path(own):
            return own.removesuffix(leaf)
    path = scope(node) or clean(weight)
    folder, _, last = path.rpartition(".")
    return path if last not in ("weight", "bias") else folder or "layer"  # a layer's weight is a tensor to everyone


def scope(node: str) -> str:
    """`layer1.0.conv1` of `/layer1/layer1.0/conv1/Conv`, the name that the legacy exporter gives; else empty."""
    if not node.startswith("/"):
        return ""
    path: list[str] = []
    for part in node.split("/")[1:-1]:
        nested = path and part.startswith(f"{path[-1]}.")
        path = [*path[:-1], part] if nested else [*path, part]
    return clean(".".join(path))


def clean(name: str) -> str:
    """A path of attribute names: `StatefulPartitionedCall/model/conv:0` → `StatefulPartitionedCall.model.conv_0`."""
    parts = [re.sub(r"\W", "_", part) for part in re.split(r"[./]", name.strip("./"))]
    return ".".join(part for part in parts if part) or "unnamed"


def identifier(name: str) -> str:
    """The name of an argument or a value in generated code."""
    word = re.sub(r"\W", "_", name) or "unnamed"
    return f"_{word}" if word[0].isdigit() or keyword.iskeyword(word) else word


class Tree:
    """Puts layers and parameters into a module under free paths, and makes the modules on the way."""

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self._leaves: set[str] = set()
        self._folders: set[str] = {""}

    def add(self, path: str, leaf: nn.Module | nn.Parameter | nn.Buffer) -> str:
        """Add it at this path, or one with a number where that is taken; gives the path."""
        from torch import nn

        base = self._below_no_leaf(self._allowed(path))
        free, number = base, 1
        while free in self._leaves or free in self._folders:
            free, number = f"{base}_{number}", number + 1
        self._leaves.add(free)
        folder, _, name = free.rpartition(".")
        owner = self._folder(folder)
        if isinstance(leaf, nn.Module):
            owner.add_module(name, leaf)
        else:
            setattr(owner, name, leaf)
        return free

    def _allowed(self, path: str) -> str:
        """No part of a path may be an attribute that every module has (`type`, `half`), or a word of Python (`in`)."""
        return ".".join(
            f"{part}_" if (hasattr(self.root, part) and part not in self._tops()) or keyword.iskeyword(part) else part
            for part in path.split(".")
        )

    def _tops(self) -> set[str]:
        return {path.partition(".")[0] for path in (*self._leaves, *self._folders)}

    def _below_no_leaf(self, path: str) -> str:
        """A layer holds nothing but its own: `conv.inner` beside a layer `conv` becomes `conv_inner`."""
        parts = path.split(".")
        for depth in range(1, len(parts)):
            if ".".join(parts[:depth]) in self._leaves:
                return ".".join([*parts[: depth - 1], "_".join(parts[depth - 1 :])])
        return path

    def _folder(self, path: str) -> nn.Module:
        from edgebuild.nn.lift.lifted import folder

        owner = self.root
        for depth, part in enumerate(path.split("."), 1) if path else ():
            self._folders.add(".".join(path.split(".")[:depth]))
            if part not in owner._modules:
                owner.add_module(part, folder())
            owner = owner.get_submodule(part)
        return owner


def domain(name: str) -> str:
    """A domain of operators: ONNX's own has two names."""
    return "" if name == "ai.onnx" else name
