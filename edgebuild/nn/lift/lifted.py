"""The module that the lift makes: plain torch layers under their old names, and a forward pass written from the file.

It is no `fx.GraphModule`: that prints a traceback of its own whenever its forward raises, even where who called it
catches the error, and belongs to torch, so that pruning takes its bare parameters for a library's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import fx, nn


def folder() -> nn.Module:
    """A module that holds layers under a part of their path, and does nothing itself."""
    from torch import nn

    return _kind("Folder", nn.Module, {})()


def written(layers: nn.Module, graph: fx.Graph) -> nn.Module:
    """A module with these layers whose forward pass is the graph's; its `source` is that as Python, to be read."""
    from torch import fx, nn

    compiled = fx.GraphModule(layers, graph)
    module = _kind("Lifted", nn.Module, {"forward": type(compiled).forward, "source": compiled.code})()
    module._modules.update(compiled._modules)
    module._parameters.update(compiled._parameters)
    module._buffers.update(compiled._buffers)
    return module


def _kind(name: str, base: type[nn.Module], members: dict[str, object]) -> type[nn.Module]:
    return type(name, (base,), {**members, "__module__": __name__})
