"""Operators that treat every channel by itself, and those that mix the places or the channels of one axis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.prune.trace.call import Call, Rule
from edgebuild.nn.prune.trace.value import Value

if TYPE_CHECKING:
    from edgebuild.nn.prune.trace.numbers import Ids


def pointwise(call: Call) -> list[Value]:
    """Numbers that meet at the same place, once shapes are broadcast, go together."""
    values = call.values()
    own = values[0].parameter if all(value.parameter for value in values) else None
    return [Value(tuple(together(call, values, call.shapes[0])), parameter=own)]


def together(call: Call, values: Sequence[Value], shape: Sequence[int]) -> list[Ids]:
    """The axes of a broadcast result."""
    axes = []
    for back in range(len(shape), 0, -1):
        size = shape[-back]
        meeting = [v.axes[-back] for v in values if len(v.axes) >= back and len(v.axes[-back]) == size]
        for other in meeting[1:]:
            call.unite(meeting[0], other)
        axes.append(meeting[0] if meeting and size > 1 else call.places(size))
    return axes


def same(call: Call) -> list[Value]:
    """Casts, copies and dropout."""
    value = call.values()[0]
    return [Value(value.axes, value.constant, value.parameter)]


def alike(call: Call) -> list[Value]:
    """What is made in the shape of another."""
    return [Value(call.values()[0].axes)]


def prelu(call: Call) -> list[Value]:
    """One slope for each channel, or one for all."""
    value, slope = call.arguments["self"], call.arguments["weight"]
    if slope.axes and len(slope.axes[-1 if len(slope.axes) == 1 else 1]) > 1:
        call.unite(value.axes[1], slope.axes[-1 if len(slope.axes) == 1 else 1])
    return [Value(value.axes)]


def by_value(call: Call) -> list[Value]:
    """Each value by itself among all of a list."""
    value, *lists = call.values()
    for one in lists:
        for ids in one.axes:
            call.protect(ids, "compares with all of them")
    return [Value(value.axes)]


def over_axes(call: Call) -> list[Value]:
    """Reductions, softmax, sorting: all along an axis depends on all else there, so nothing of it can go but of a sum,
    to which what is silent adds nothing. Several tensors lose the same on all other axes.
    """
    value, *others = call.values()
    argument = call.arguments.get("dim", call.arguments.get("dims"))
    every = range(len(value.axes))
    dims = [*every] if argument is None or argument == [] else [argument] if isinstance(argument, int) else [*argument]
    dims = [dim % max(1, len(every)) for dim in dims]
    for one in (value, *others):
        beside = len(one.axes) == len(value.axes)
        for k, ids in enumerate(one.axes):
            if not beside or (k in dims and not _adds(call)):
                call.protect(ids, "takes all of them together")
            elif one is not value and k not in dims and len(ids) == len(value.axes[k]):
                call.unite(value.axes[k], ids)
    return [Value(_left(call, value, dims, shape)) for shape in call.shapes]


def _adds(call: Call) -> bool:
    return call.name in _SUMS and call.arguments.get("ord", 2) in (1, 2)


def _left(call: Call, value: Value, dims: Sequence[int], shape: Sequence[int]) -> tuple[Ids, ...]:
    if len(shape) != len(value.axes):
        return tuple(ids for k, ids in enumerate(value.axes) if k not in dims)
    return tuple(
        ids if k not in dims or len(ids) == size else call.places(size)
        for k, (ids, size) in enumerate(zip(value.axes, shape, strict=True))
    )


def over_places(call: Call) -> list[Value]:
    """Pooling and resizing: each channel by itself, its places all together."""
    value = call.values()[0]
    matched = re.search(r"(\d)d", call.name)
    count = int(matched.group(1)) if matched is not None else len(value.axes) - 2
    for ids in value.axes[-count:]:
        call.protect(ids, "takes places together")
    for other in call.values()[1:]:
        for ids in other.axes:
            call.protect(ids)
    return [Value((*value.axes[:-count], *map(call.places, shape[-count:]))) for shape in call.shapes]


def embedding(call: Call) -> list[Value]:
    """Rows by number; each has all channels."""
    weight, rows = call.arguments["weight"], call.arguments["indices"]
    call.protect(weight.axes[0], "takes rows of it by their numbers")
    call.born(weight, weight.axes[1])
    return [Value((*rows.axes, weight.axes[1]))]


def glu(call: Call) -> list[Value]:
    """One half of an axis gates the other."""
    value: Value = call.arguments["self"]
    axes, dim = list(value.axes), call.arguments["dim"]
    half = len(axes[dim]) // 2
    call.unite(axes[dim][:half], axes[dim][half:])
    axes[dim] = axes[dim][:half]
    return [Value(tuple(axes))]


_SUMS = {"sum", "nansum", "linalg_vector_norm", "cosine_similarity"}
_OVER = (
    "mean sum amax amin max min var std var_mean std_mean prod any all argmax argmin softmax _softmax log_softmax"
    " _log_softmax logsumexp cumsum cumprod sort topk linalg_vector_norm norm median kthvalue argsort nanmean nansum"
    " cummax cummin logcumsumexp count_nonzero quantile nanquantile nanmedian mode diff trapezoid cosine_similarity"
    " fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn fft_rfftn"
    " fft_irfftn fft_hfft fft_ihfft _fft_c2c _fft_r2c _fft_c2r fft_fftshift fft_ifftshift"
)
_POINTWISE = (
    "hardswish hardsigmoid mish celu selu rrelu leaky_relu elu logit hardshrink softshrink prelu_ where masked_fill"
    " relu6 silu softplus _prelu_kernel clamp hardtanh square rsub floor_divide remainder lerp addcmul addcdiv"
    " copy logical_and logical_or logical_not bitwise_and bitwise_or isfinite isinf isnan"
)
_SAME = (
    "dropout alpha_dropout feature_dropout native_dropout clone contiguous alias detach to _to_copy"
    " lift_fresh_copy type_as positive _assert_tensor_metadata bernoulli float double view_as_real_copy"
)
_ALIKE = "zeros_like ones_like full_like empty_like fill zero rand_like randn_like"
_PLACES = (
    "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices"
    " avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"
    " _adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d upsample_nearest1d upsample_nearest2d"
    " upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d upsample_bilinear2d"
    " _upsample_bilinear2d_aa upsample_bicubic2d _upsample_bicubic2d_aa upsample_linear1d upsample_trilinear3d"
    " grid_sampler grid_sampler_2d grid_sampler_3d"
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_POINTWISE.split(), pointwise),
    **dict.fromkeys(_OVER.split(), over_axes),
    **dict.fromkeys(_SAME.split(), same),
    **dict.fromkeys(_PLACES.split(), over_places),
    **dict.fromkeys(_ALIKE.split(), alike),
    "bucketize": by_value,
    "prelu": prelu,
    "embedding": embedding,
    "glu": glu,
}
