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
    found = torch.zeros(flat.shape, dtype=torch.int64)
    found[kept] = places + len(zero)
    return torch.cat([torch.tensor(zero), values]), found.view(weight.shape)


def _means(values: Array, count: int) -> tuple[Tensor, Tensor]:
    import numpy as np
    import torch
    from sklearn.cluster import KMeans

    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= count:
        return torch.from_numpy(distinct), torch.from_numpy(places.ravel())
    first = np.linspace(distinct[0], distinct[-1], count, dtype=values.dtype)
    found = KMeans(count, init=first[:, None], n_init=1, tol=0).fit(values[:, None])
    return torch.from_numpy(found.cluster_centers_.ravel()), torch.from_numpy(found.labels_.astype(np.int64))


def trainable(graph: nn.Module, shared: dict[str, tuple[Tensor, Tensor]], zeros: set[str]) -> nn.Module:
    """The graph with weights looked up among their shared values, which are its parameters.

    So the gradient of a value is the sum of the gradients of its weights (Han et al. 2016, equation 3). The first
    value of those in `zeros` stays 0.
    """
    import torch
    from torch import nn

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = graph
            self.values = nn.ParameterList([values for values, _ in shared.values()])

        def forward(self, *inputs: Tensor) -> Any:
            return torch.func.functional_call(self.graph, self.weights(), inputs)

        def weights(self) -> dict[str, Tensor]:
            looked = zip(shared.items(), self.values, strict=True)
            return {name: with_zero(values, name in zeros)[places] for (name, (_, places)), values in looked}

    return Shared()


def with_zero(values: Tensor, has_zero: bool) -> Tensor:
    """The values, the first set to zero where it stands for pruned weights."""
    import torch

    return torch.cat([torch.zeros(1), values[1:]]) if has_zero else values
