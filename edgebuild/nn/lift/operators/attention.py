"""Attention, as ONNX has it since opset 23 and as ONNX Runtime's optimizer writes it, and rotary places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor, fx

_PAST = "it has room for more keys than there are, as files that write word by word have"
_ONE_BY_ONE = "export the model without a cache"


def attention(call: Call) -> Any:
    """Opset 23 and on: softmax(scale · q kᵀ + mask) v, in heads of which several queries' may share one of the keys."""
    call.need(not call.has(6), _PAST, _ONE_BY_ONE)
    call.need(not any(call.node.output[3:]), "its scores are a result", "take that output out of the file")
    heads = (call.integer("q_num_heads"), call.integer("kv_num_heads"))
    wide = [call.emit(_apart, call.tensor(0), heads[0]), *(call.emit(_apart, call.tensor(k), heads[1]) for k in (1, 2))]
    if call.has(4):
        wide[1:] = (call.emit(_behind, call.tensor(past), own) for past, own in zip((4, 5), wide[1:], strict=True))
    size = call.shape(0)[-1] // (heads[0] or 1)
    scale = call.number("scale", size**-0.5)
    masks = [call.tensor(3)] if call.has(3) else []
    how = {"causal": bool(call.integer("is_causal")), "last": call.has(4), "cap": call.number("softcap", 0.0)}
    result = call.emit(attended, *wide, masks, scale, **how)
    joined = call.emit(_together, result) if call.rank(0) == 3 else result
    return joined, wide[1], wide[2]


def merged_attention(call: Call) -> Any:
    """ONNX Runtime's: one product for queries, keys and values, then attention in heads."""
    from torch import nn

    call.need(not call.has(4) and not call.has(6), _PAST, _ONE_BY_ONE)
    call.need(not call.integer("do_rotary"), "it turns features by their places")
    weight, heads = call.array(1), call.integer("num_heads")
    layer = nn.Linear(weight.shape[0], weight.shape[1], call.has(2), device="meta")
    layer.weight = call.derived(weight.T)
    if call.has(2):
        layer.bias = call.parameter(2)
    third = weight.shape[1] // 3
    sizes = call.integers("qkv_hidden_sizes", (third, third, weight.shape[1] - 2 * third))
    parts = call.emit(_split, call.layer(layer, 1, 2, call.tensor(0)), [*sizes])
    wide = [call.emit(_apart, part, heads) for part in call.unpack(parts, 3)]
    masks = _masks(call, 3, 5)
    return call.emit(_together, call.emit(attended, *wide, masks, **_usual(call, sizes[0] // heads)))


def many_heads(call: Call) -> Any:
    """ONNX Runtime's attention on queries, keys and values that are products already."""
    call.need(not any(call.has(place) for place in range(6, call.count)), _PAST, _ONE_BY_ONE)
    call.need(call.rank(0) == 3 and call.has(2), "its queries, keys and values are packed into one")
    heads, parts = call.integer("num_heads"), [call.tensor(place) for place in range(3)]
    if call.has(3):
        widths = [call.shape(0)[-1], *(_width(call, place) for place in (1, 2))]
        rows = call.unpack(call.emit(_split, call.tensor(3), widths), 3)
        parts = [  # keys and values that stand in heads already are as they were kept, with their numbers
            call.emit(_sum, part, row) if call.rank(place) == 3 else part
            for place, (part, row) in enumerate(zip(parts, rows, strict=True))
        ]
    wide = [call.emit(_apart, part, heads) for part in parts]
    how = _usual(call, call.shape(0)[-1] // heads)
    return call.emit(_together, call.emit(attended, *wide, _masks(call, 4, 5), **how))


def _usual(call: Call, size: int) -> dict[str, Any]:
    """How ONNX Runtime's own have products become weights."""
    causal, hidden = bool(call.integer("unidirectional")), call.number("mask_filter_value", -10000.0)
    return {"scale": call.number("scale", 0.0) or size**-0.5, "causal": causal, "hidden": hidden}


def _width(call: Call, place: int) -> int:
    """Of keys or values, which may stand in heads already: [N, heads, T, size]."""
    shape = call.shape(place)
    return shape[-1] if len(shape) == 3 else shape[1] * shape[3]


def _masks(call: Call, hidden: int, added: int) -> list[fx.Node]:
    """Which keys are none (zeros and ones, or how many there are), and what is added to the scores."""
    if call.has(hidden):
        batch = call.shape(0)[0]
        call.need(
            call.rank(hidden) in (2, 3) or call.shape(hidden) == (batch,), "its mask says where keys begin and end"
        )
    return [call.tensor(place) for place in (hidden, added) if call.has(place)]


def attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masks: Sequence[Tensor],
    scale: float,
    causal: bool,
    last: bool = True,
    cap: float = 0.0,
    hidden: float = -math.inf,
) -> Tensor:
    """[N, heads, T, size] of queries and as many keys and values, or fewer heads of those.

    masks: added to the scores [N, heads, queries, keys]; those of zeros and ones (and how many keys there are) add
        `hidden` where they hide a key
    causal: whether no query sees keys behind its own place; the last query stands at the last key where `last`
    cap: scores are cap · tanh(score / cap), 0 for no bound
    """
    import torch

    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = (each.repeat_interleave(shared, 1) for each in (key, value))
    scores = torch.matmul(query * scale, key.transpose(-1, -2))
    if cap:
        scores = cap * torch.tanh(scores / cap)
    for mask in masks:
        scores = scores + _added(mask, scores, hidden)
    if causal:
        before = key.shape[-2] - query.shape[-2] if last else 0
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(before)
        scores = torch.where(seen, scores, torch.full((), -torch.inf, dtype=scores.dtype, device=scores.device))
    weights = torch.softmax(scores, -1)
    if hidden == -math.inf and any(mask.dtype == torch.bool for mask in masks):  # a query that sees no key gets 0
        weights = torch.where(torch.isneginf(scores), torch.zeros_like(weights), weights)
    return torch.matmul(weights, value)


def _added(mask: Tensor, scores: Tensor, hidden: float) -> Tensor:
    """A mask as what is added to scores [N, heads, queries, keys]."""
    import torch

    if mask.is_floating_point():
        return mask
    if mask.dtype != torch.bool:
        counts = mask.ndim == 1  # of keys, of which the others stand behind
        keys = torch.arange(scores.shape[-1], device=mask.device)
        mask = keys < mask.unsqueeze(-1) if counts else mask > 0
        mask = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
    away = torch.full((), hidden, dtype=scores.dtype, device=scores.device)
    return torch.where(mask, torch.zeros_like(away), away)


def _apart(values: Tensor, heads: int) -> Tensor:
    """[N, T, heads · size] → [N, heads, T, size], which some come as."""
    return values if values.ndim == 4 else values.reshape(*values.shape[:-1], heads, -1).transpose(1, 2)


def _together(values: Tensor) -> Tensor:
    """[N, heads, T, size] → [N, T, heads · size]."""
    return values.transpose(1, 2).flatten(2)


def _behind(past: Tensor, values: Tensor) -> Tensor:
    import torch

    return torch.cat([past, values], 2)


def _split(values: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    import torch

    return torch.split(values, sizes, -1)


def _sum(values: Tensor, row: Tensor) -> Tensor:
    return values + row


def rotary(call: Call) -> Any:
    """Pairs of features, turned by an angle that grows with their place; both domains have it, in another order."""
    ours = not call.node.domain or call.node.domain == "ai.onnx"
    cosines, sines, places = (1, 2, 3) if ours else (2, 3, 1)
    call.need(not call.integer("is_packed_batching"), "it has several examples in one row")
    heads, where = call.integer("num_heads"), None
    wide = call.rank(0) == 4
    call.need(wide or bool(heads) or not ours, "it does not say how many heads there are")
    size = call.shape(0)[-1] if wide else 0
    turned_ = call.integer("rotary_embedding_dim") or 2 * call.shape(cosines)[-1]
    if call.has(places):
        where = call.tensor(places)
    heads = heads or (0 if wide else call.shape(0)[-1] // turned_)
    size = size or call.shape(0)[-1] // heads
    options = (heads, min(turned_, size), bool(call.integer("interleaved")))
    return call.emit(turned, call.tensor(0), call.tensor(cosines), call.tensor(sines), where, *options)


def turned(
    values: Tensor, cosines: Tensor, sines: Tensor, places: Tensor | None, heads: int, size: int, pairs: bool
) -> Tensor:
    """The first `size` features of each head, one with that beside it (`pairs`), or with that half of them further on.

    cosines, sines: [N, T, size / 2], or [places, size / 2] of which `places` ([N, T], or the first one's) picks.
    """
    import torch

    flat = values.ndim == 3
    wide = values.reshape(*values.shape[:-1], heads, -1).transpose(1, 2) if flat else values
    if places is not None:
        if places.numel() == 1:
            places = (places.reshape(1, 1) + torch.arange(wide.shape[2], device=places.device)).expand(len(wide), -1)
        cosines, sines = (each[places.to(torch.int64)] for each in (cosines, sines))
    cosine, sine = (each[..., : size // 2].unsqueeze(1) for each in (cosines, sines))
    moved, still = wide[..., :size], wide[..., size:]
    one, other = (moved[..., 0::2], moved[..., 1::2]) if pairs else moved.chunk(2, -1)
    both = [one * cosine - other * sine, one * sine + other * cosine]
    result = torch.stack(both, -1).flatten(-2) if pairs else torch.cat(both, -1)
    whole = torch.cat([result, still], -1) if still.shape[-1] else result
    return whole.transpose(1, 2).flatten(2) if flat else whole


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "Attention": attention,
    "RotaryEmbedding": rotary,
    "com.microsoft::Attention": merged_attention,
    "com.microsoft::MultiHeadAttention": many_heads,
    "com.microsoft::RotaryEmbedding": rotary,
}
