"""Who teaches: modules, files that answer in a runtime as examples come, and answers that were written down before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Input
from edgebuild.spec.layout import NCHW, NHWC, axes
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Stored

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.rows import Array

KIND = "answers"  # of an artifact with answers that were written down
MODULE = "torch"


@dataclass(frozen=True, slots=True)
class Teachers:
    """Modules are asked batch by batch; `written` has for each other teacher its answers [N, …] by split and output."""

    modules: tuple[nn.Module, ...]
    written: tuple[Mapping[str, tuple[Array, ...]], ...] = ()

    def beside(self, data: Stored, splits: Iterable[str]) -> Stored:
        """The examples of these splits with what was written about each behind their labels."""
        import numpy as np

        columns = [
            np.concatenate(parts)
            for answers in self.written
            for parts in zip(*(answers[split] for split in splits if split in answers), strict=True)
        ]
        return Stored(data.inputs, (*data.labels, *columns))


def load(artifacts: Iterable[Input]) -> Teachers:
    """Those in the artifacts, each of the kind that it is."""
    modules: list[nn.Module] = []
    written: list[Mapping[str, tuple[Array, ...]]] = []
    for item in artifacts:
        if item.kind == KIND:
            written.append(dataset.outputs(item.path))
        else:
            modules.append(checkpoint.load(item.path).module if item.kind == MODULE else _in_runtime(item))
    return Teachers(tuple(modules), tuple(written))


def _in_runtime(item: Input) -> nn.Module:
    """A file as a module that no gradient passes through: one example after another, in the file's runtime."""
    import torch
    from torch import nn

    kind = FORMATS.get(item.kind)
    opened = import_module(kind.loader).Model(str(Path(item.path, kind.file)), {})
    shapes = [tuple(port.shape) for port in opened.inputs]

    class InRuntime(nn.Module):
        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            rows = zip(*(values.cpu().contiguous().numpy() for values in inputs), strict=True)
            samples = ([_laid_out(x[None], shape) for x, shape in zip(row, shapes, strict=True)] for row in rows)
            answers = [opened.answer(sample) for sample in samples]
            columns = ([torch.from_numpy(one) for one in column] for column in zip(*answers, strict=True))
            return tuple(torch.cat(column).to(inputs[0].device) for column in columns)

    return InRuntime()


def _laid_out(values: Array, shape: tuple[int, ...]) -> Array:
    """An example as the file takes it: of pictures, the channels may be elsewhere than in the model's."""
    turned = [values.transpose(axes(layout)) for layout in (NHWC, NCHW)] if values.ndim == 4 else []
    return next((one for one in [values, *turned] if one.shape == shape), values)
