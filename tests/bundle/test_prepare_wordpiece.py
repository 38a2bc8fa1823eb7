"""WordPiece numbers that data and bundles share, against transformers' own tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec.preprocess import WordpieceInput

TOKENS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the quick brown fox jump ##s ##ed over lazy dog ! , . ' - un ##aff ##able a b c "
    "##c ##b cafe caf ##e é café naive 中 国 1 ##2 2 $ # ( ) re ##sume ı i ##i ß ss"
).split()
TEXTS = [
    "The quick brown fox jumps over the lazy dog!",
    "unaffable, un-affable. (unaffable)",
    "Café naïve résumé CAFÉ",
    "中国 is 中a国",
    "zero\u200bwidth\tab\r\nc\x00 \ufffd",
    "12 21 $1 #2 aaaa " + "a" * 120,
    "İ ı ß SS",
    "",
    "the " * 40,
    "e\u0301 \u2014 \u201cquick\u201d \u00a0 fox's",
]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return tmp_path / "vocab.txt"


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_numbers_are_those_of_transformers(vocabulary: Path, text: str, lower: bool) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.BertTokenizer(vocab=str(vocabulary), do_lower_case=lower)
    expected = tokenizer(text, padding="max_length", truncation=True, max_length=16)
    ids, mask, types = WordpieceInput("wordpiece", str(vocabulary), 16, lower, types="token_type_ids").fit(text)
    assert ids.tolist() == expected["input_ids"]
    assert mask.tolist() == expected["attention_mask"]
    assert types.tolist() == expected["token_type_ids"]


def test_numbers_worked_by_hand(vocabulary: Path) -> None:
    """[CLS] the quick un ##aff ##able ! [SEP] and padding."""
    ids, mask = WordpieceInput("wordpiece", str(vocabulary), 10).fit("The quick unaffable!")
    assert ids.tolist() == [2, 5, 6, 20, 21, 22, 15, 3, 0, 0]
    assert mask.tolist() == [1] * 8 + [0] * 2
    assert ids.dtype == np.int32


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"words.txt has no line \[CLS\], as a WordPiece vocabulary has"):
        WordpieceInput("wordpiece", str(tmp_path / "words.txt"), 8).fit("one")
