"""Fourier transforms that make complex numbers, or real ones of them, with both parts in a last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.legalize import fourier, pairs
from edgebuild.nn.legalize.geometry import argument, cropped
from edgebuild.nn.legalize.pairs import Pair

if TYPE_CHECKING:
    from torch import Tensor, fx

    Maker = Callable[[fx.Node], Callable[..., Any] | None]
    Sizes = list[tuple[int, int]]  # axis, from the front, and how many places it gets or gives


def _transform(node: fx.Node) -> Callable[..., Any] | None:
    """`torch.fft`'s functions of one axis, of two and of any."""
    kind = str(node.target).removeprefix("aten.fft_").removesuffix(".default").rstrip("2n")
    real, inverse = "r" in kind, "i" in kind
    sizes, norm = _sizes(node, halved=real and inverse), argument(node, 3, "norm", None)
    if any(size**2 > fourier.MOST for _, size in sizes):
        return None
    *others, (axis, size) = sizes
    of_real = not argument(node, 0, "self", None).meta["val"].is_complex()

    def transform(x: Tensor, *_: Any, **__: Any) -> Tensor:
        pair = Pair(x) if of_real else pairs.apart(x)
        if real and not inverse:
            pair = fourier.half(x, size, axis, norm)
        for each, count in others if real else sizes:
            pair = fourier.whole(pair, count, each, norm, inverse=inverse)
        return fourier.back(pair, size, axis, norm) if real and inverse else pairs.together(pair)

    return None if real and inverse and of_real else transform


def _sizes(node: fx.Node, *, halved: bool) -> Sizes:
    shape = argument(node, 0, "self", None).meta["val"].shape
    given, axes = argument(node, 1, "s", argument(node, 1, "n", None)), argument(node, 2, "dim", None)
    name, rank = str(node.target).removesuffix(".default"), len(shape)
    if not name.endswith(("2", "n")):
        axes, given = [-1 if axes is None else axes], given if given is None else [given]
    elif axes is None:
        count = rank if given is None else len(given)
        axes = [-2, -1] if name.endswith("2") else [*range(rank - count, rank)]
    axes = [axis % rank for axis in axes]
    if given is None:
        given = [shape[axis] for axis in axes]
        given[-1] = 2 * (given[-1] - 1) if halved else given[-1]
    return [(axis, shape[axis] if size == -1 else size) for axis, size in zip(axes, given, strict=True)]


def _frames(node: fx.Node) -> Callable[..., Any] | None:
    """`torch.istft`, of half of the frequencies."""
    size, hop, length = (
        argument(node, 1 + k, key, None) for k, key in enumerate(("n_fft", "hop_length", "win_length"))
    )
    hop, length, centred = hop or size // 4, length or size, argument(node, 5, "center", True)
    norm, onesided = "ortho" if argument(node, 6, "normalized", False) else None, argument(node, 7, "onesided", None)
    end, before = argument(node, 8, "length", None), (size - length) // 2
    if onesided is False or argument(node, 9, "return_complex", False) or size**2 > fourier.MOST:
        return None

    def transform(z: Tensor, *others: Any, **named: Any) -> Tensor:
        import torch
        from torch.nn import functional

        window: Tensor | None = named.get("window", others[3] if len(others) > 3 else None)
        window = torch.ones(length, dtype=z.dtype) if window is None else window
        window = functional.pad(window, (before, size - length - before))
        signal, squares = fourier.joined(pairs.apart(z), size, hop, window, norm)
        first = size // 2 if centred else 0
        last = signal.shape[-1] - first if end is None else first + end
        values = signal[..., first:last] / squares[first:last]
        return cropped(values, [0], [last - first])

    return transform


_FOURIER = [f"fft_{kind}{axes}.default" for kind in ("fft", "ifft", "rfft", "irfft") for axes in ("", "2", "n")]
MAKERS: Mapping[str, Maker] = {**dict.fromkeys(_FOURIER, _transform), "istft.default": _frames}
