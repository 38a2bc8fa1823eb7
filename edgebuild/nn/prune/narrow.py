"""`nn.MultiheadAttention` that has lost heads or width: its own code ties the one to the other, this does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def narrowed(module: nn.Module) -> None:
    """Let every attention of the module whose heads do not make up its width compute with what there is, in place."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.MultiheadAttention) and part.num_heads * part.head_dim != part.embed_dim:
            part.__class__ = _narrow()
            part._qkv_same_embed_dim = False  # keeps torch's fused kernels away, which take heads and width as one


def resized(attention: Any) -> None:
    """Tell an attention the width of its parameters, `num_heads` being right."""
    first = attention.in_proj_weight if attention.in_proj_weight is not None else attention.q_proj_weight
    attention.embed_dim = first.shape[1]
    for name, weight in (("kdim", attention.k_proj_weight), ("vdim", attention.v_proj_weight)):
        setattr(attention, name, attention.embed_dim if weight is None else weight.shape[1])
    narrowed(attention)


@cache
def _narrow() -> type[nn.MultiheadAttention]:
    import torch
    from torch import nn
    from torch.nn import functional

    class NarrowAttention(nn.MultiheadAttention):
        """The same parameters and answers (Vaswani et al. 2017, section 3.2.2), inner width heads × head_dim."""

        def forward(
            self,
            query: Tensor,
            key: Tensor,
            value: Tensor,
            key_padding_mask: Tensor | None = None,
            need_weights: bool = True,
            attn_mask: Tensor | None = None,
            average_attn_weights: bool = True,
            is_causal: bool = False,
        ) -> tuple[Tensor, Tensor | None]:
            """As `nn.MultiheadAttention`, for batched inputs."""
            inputs = [one if self.batch_first else one.transpose(0, 1) for one in (query, key, value)]
            q, k, v = (self._heads(one) for one in self._projected(*inputs))
            mask = self._mask(attn_mask, key_padding_mask, q)
            dropped = self.dropout if self.training else 0.0
            if need_weights:
                scores = q @ k.transpose(2, 3) * self.head_dim**-0.5
                weights = torch.softmax(scores if mask is None else scores + mask, 3)
                weights = functional.dropout(weights, dropped)
                y = weights @ v
            else:
                weights, y = None, functional.scaled_dot_product_attention(q, k, v, mask, dropped)
            y = self.out_proj(y.transpose(1, 2).flatten(2))
            if weights is not None and average_attn_weights:
                weights = weights.mean(1)
            return (y if self.batch_first else y.transpose(0, 1)), weights

        def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
            weights: Sequence[Tensor] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            if self.in_proj_weight is not None:
                weights = self.in_proj_weight.chunk(3)
            biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
            return [functional.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]

        def _heads(self, projected: Tensor) -> Tensor:
            return projected.reshape(*projected.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)

        def _mask(self, mask: Tensor | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
            """What is added to scores [N, heads, L, S]."""
            parts = []
            if mask is not None:
                added = _added(mask, like)
                parts.append(added.view(-1, self.num_heads, *added.shape[1:]) if mask.ndim == 3 else added)
            if padding is not None:
                parts.append(_added(padding, like)[:, None, None])
            return sum(parts[1:], parts[0]) if parts else None

    def _added(mask: Tensor, like: Tensor) -> Tensor:
        if mask.dtype != torch.bool:
            return mask.to(like.dtype)
        return torch.zeros(mask.shape, dtype=like.dtype).masked_fill(mask, float("-inf"))

    return NarrowAttention
