"""Weights that share a few values: the clusters of one tensor, and the training of the values that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]


def distinct(weight: Tensor) -> int:
    """How many different values a tensor has."""
    return len(weight.detach().unique())  # type: ignore[no-untyped-call]


def cluster(weight: Tensor, count: int, keep_zeros: bool) -> tuple[Tensor, Tensor]:
    """(shared values [≤ count], the place of each weight's value among them) by k-means in one dimension.

    The first centroids lie evenly between the smallest and the largest weight, which keeps large weights (Han et al.
    2016, section 3.2). With `keep_zeros`, zeros share the value 0, which is the first, and the rest share the others.
    """
    import torch

    flat = weight.detach().flatten()
    kept = flat != 0 if keep_zeros else torch.ones_like(flat, dtype=torch.bool)
    zero = [0.0] if keep_zeros else []
    values, places = _means(flat[kept].numpy(), count - len(zero))
    indices = torch.zeros(flat.shape, dtype=torch.int64)
    indices[kept] = places + len(zero)
    return torch.cat([torch.tensor(zero), values]), indices.view(weight.shape)


def _means(values: Array, count: int) -> tuple[Tensor, Tensor]:
    import numpy as np
    import torch
    from sklearn.cluster import KMeans

    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= count:
        return torch.from_numpy(distinct), torch.from_numpy(places.ravel())
    first = np.linspace(distinct[0], distinct[-1], count, dtype=values.dtype)
    fitted = KMeans(count, init=first[:, None], n_init=1, tol=0).fit(values[:, None])
    return torch.from_numpy(fitted.cluster_centers_.ravel()), torch.from_numpy(fitted.labels_.astype(np.int64))


def trainable(graph: nn.Module, shared: dict[str, tuple[Tensor, Tensor]], zeros: set[str]) -> nn.Module:
    """The graph with weights looked up among their shared values; `current()` gives the values as they are now.

    The gradient of a value is the sum over its weights (Han et al. 2016, equation 3). What is trained is the value
    times √n for the n weights that share it, so that a step moves it by the mean of what it would move each of them:
    learning rates are those of ordinary fine-tuning. The first value of those in `zeros` stays 0.
    """
    import torch
    from torch import nn

    counts = [torch.bincount(places.flatten(), minlength=len(values)) for values, places in shared.values()]
    roots = [count.clamp_min(1).sqrt() for count in counts]
    moving = [torch.ones(len(root)) for root in roots]
    for name, moves in zip(shared, moving, strict=True):
        moves[0] = 0.0 if name in zeros else 1.0

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = graph
            pairs = zip(shared.values(), roots, strict=True)
            self.scaled = nn.ParameterList([values * root for (values, _), root in pairs])

        def current(self) -> list[Tensor]:
            parts = zip(self.scaled, roots, moving, strict=True)
            return [scaled / root * moves for scaled, root, moves in parts]

        def forward(self, *inputs: Tensor) -> Any:
            looked = zip(shared.items(), self.current(), strict=True)
            weights = {name: values[places] for (name, (_, places)), values in looked}
            return torch.func.functional_call(self.graph, weights, inputs)

    return Shared()
