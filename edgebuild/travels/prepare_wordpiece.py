"""How a text becomes a model's inputs: numbers of WordPiece tokens, in data and in a bundle's `run.py`.

As BERT's own tokenizer does (Devlin et al. 2019, `tokenization.py`). This file travels in bundles: Python 3.9 and
numpy, nothing of edgebuild. What preprocess.json says is called `how`; its vocabulary is a file beside this, or a path.
"""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import numpy as np

Array = Any  # numpy.ndarray of some type
ENDINGS = (".txt",)  # of files that a folder is searched for
START, END, PADDING, UNKNOWN = "[CLS]", "[SEP]", "[PAD]", "[UNK]"
LONGEST = 100  # characters of a word that is looked up
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def read_prepared(path: Path, how: Mapping[str, Any]) -> List[Array]:
    """The model's inputs for the text in a file, each [1, length], in the order of how["names"]."""
    return [values[None] for values in fit(path.read_text(encoding="utf-8"), how)]


def fit(text: str, how: Mapping[str, Any]) -> List[Array]:
    """Numbers of the tokens, int32 [length], with the mask and the types where `how` names inputs for them."""
    known = vocabulary(os.path.join(os.path.dirname(os.path.abspath(__file__)), how["vocabulary"]))
    length = how["length"]
    tokens = [token for word in words(text, how["lower_case"]) for token in pieces(word, known)]
    tokens = [START, *tokens[: length - 2], END]
    numbers = np.full(length, known[PADDING], np.int32)
    numbers[: len(tokens)] = [known[token] for token in tokens]
    mask = (np.arange(length) < len(tokens)).astype(np.int32)
    more = {"mask": mask, "types": np.zeros(length, np.int32)}
    return [numbers] + [values for name, values in more.items() if how[name] is not None]


@lru_cache(maxsize=4)
def vocabulary(path: str) -> Dict[str, int]:
    """The number of each token, which is that of its line; ValueError for a file that lacks BERT's special ones."""
    with open(path, encoding="utf-8") as file:
        known = {line.rstrip("\r\n"): number for number, line in enumerate(file)}
    for token in (START, END, PADDING, UNKNOWN):
        if token not in known:
            raise ValueError("%s has no line %s, as a WordPiece vocabulary has" % (os.path.basename(path), token))
    return known


def words(text: str, lower_case: bool) -> Iterator[str]:
    """Words and punctuation marks in their order; of an uncased vocabulary in lower case and without accents."""
    text = "".join(" %s " % one if is_ideograph(one) else one for one in text if not is_control(one))
    if lower_case:
        text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    for word in text.split():
        start = 0
        for place, one in enumerate(word):
            if is_punctuation(one):
                yield from (part for part in (word[start:place], one) if part)
                start = place + 1
        if word[start:]:
            yield word[start:]


def pieces(word: str, known: Mapping[str, int]) -> List[str]:
    """The longest tokens from the left that make up a word, `##` before all but the first; [UNK] if none do."""
    if len(word) > LONGEST:
        return [UNKNOWN]
    tokens, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and ("##" if start else "") + word[start:end] not in known:
            end -= 1
        if end == start:
            return [UNKNOWN]
        tokens.append(("##" if start else "") + word[start:end])
        start = end
    return tokens


def is_control(one: str) -> bool:
    """Whether BERT leaves a character out: control and format characters that are no white space, and U+FFFD."""
    return one not in "\t\n\r" and (ord(one) in (0, 0xFFFD) or unicodedata.category(one).startswith("C"))


def is_punctuation(one: str) -> bool:
    """Whether a character is a word of its own: all ASCII that is neither letter, digit nor space, and category P."""
    ascii_mark = 33 <= ord(one) <= 126 and not one.isalnum()
    return ascii_mark or unicodedata.category(one).startswith("P")


def is_ideograph(one: str) -> bool:
    """Whether a character is a word of its own in Chinese."""
    return any(low <= ord(one) <= high for low, high in IDEOGRAPHS)
