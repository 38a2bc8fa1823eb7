"""The model `sentence`: its text is there in every Python, and nothing of it is in two splits."""

from __future__ import annotations

import torch

from edgebuild.nn.model_code import ModelCode
from tests import ROOT


def test_there_are_enough_sentences_each_once_and_the_network_takes_their_tokens() -> None:
    code = ModelCode(ROOT / "models" / "sentence", "models/sentence")
    sentences = code.function("sentences", "data")()
    assert len({*sentences}) == len(sentences) >= 256 + 128 + 400
    assert all(sentence[0].strip() and sentence[-1] in ".?" and "\n" not in sentence for sentence in sentences)
    ids, mask = torch.ones(2, 32, dtype=torch.int32), torch.ones(2, 32, dtype=torch.int32)
    module = code.function("build", "builder")().eval()
    padded = mask.clone()
    padded[:, 20:] = 0
    with torch.no_grad():
        assert module(ids, mask).shape == (2, 384)
        other = ids.clone()
        other[:, 20:] = 7
        assert torch.allclose(module(ids, padded), module(other, padded), atol=1e-5)  # padding says nothing
